// @ts-check
// What a person has chosen on this page, kept in this browser. Where nothing can be kept, a choice lasts as long as
// the page. Emits `change` (CustomEvent, `detail` is the name) whenever a choice differs from before.

export const STORAGE_KEY = 'voiceagent.preferences';

/** Every choice there is, as it stands before anybody chose. An empty device is the system's own choice. */
export const DEFAULTS = Object.freeze({
  microphone: '',
  speaker: '',
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
  volume: 100,
  silent: false,
  pushToTalk: false,
  captions: true,
  largeText: false,
  readAloud: false,
  transport: 'automatic',
  logOpen: false,
  letterKeys: true,
  webRtcBroke: false,
});

/** @typedef {{-readonly [Name in keyof typeof DEFAULTS]: Widened<(typeof DEFAULTS)[Name]>}} Choices */
/** @template T @typedef {T extends boolean ? boolean : T extends number ? number : T extends string ? string : T} Widened */

export class Preferences extends EventTarget {
  #storage;
  #choices;

  /** @param {() => Pick<Storage, 'getItem'|'setItem'>} [storage] asked for late, since some browsers throw at the name already */
  constructor(storage = () => localStorage) {
    super();
    this.#storage = storage;
    this.#choices = { .../** @type {Choices} */ (DEFAULTS), ...this.#kept() };
  }

  /** @template {keyof Choices} Name @param {Name} name @returns {Choices[Name]} */
  get(name) {
    return this.#choices[name];
  }

  /** @template {keyof Choices} Name @param {Name} name @param {Choices[Name]} value */
  set(name, value) {
    if (this.#choices[name] === value) return;
    this.#choices[name] = value;
    this.#keep();
    this.dispatchEvent(new CustomEvent('change', { detail: name }));
  }

  /** What is kept under a known name and of its kind; everything else is another version's. @returns {Partial<Choices>} */
  #kept() {
    try {
      const kept = Object.entries(JSON.parse(this.#storage().getItem(STORAGE_KEY) ?? '{}'));
      const standard = /** @type {Record<string, unknown>} */ (DEFAULTS);
      return Object.fromEntries(kept.filter(([name, value]) => Object.hasOwn(standard, name) && typeof value === typeof standard[name]));
    } catch {
      return {};
    }
  }

  #keep() {
    try {
      this.#storage().setItem(STORAGE_KEY, JSON.stringify(this.#choices));
    } catch {
      // Full, or not allowed: the choice holds for this page.
    }
  }
}
