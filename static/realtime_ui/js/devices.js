// @ts-check
// Which microphone and which speaker are used: what the person chose as long as it is there, else the system's choice.
// Emits `change` (the lists have changed), `microphone` (CustomEvent, `detail` is the stream that is used from now on)
// and `note` (CustomEvent, `detail` is `{key, values}` for words). Knows no document.

import { Microphone, openMicrophone } from './microphone.js';

/** @typedef {{id: string, label: string, isInUse: boolean}} Device */
/** @typedef {import('./preferences.js').Preferences} Preferences */

/** Choices that another microphone stream is needed for. */
const OF_MICROPHONE = new Set(['microphone', 'echoCancellation', 'noiseSuppression', 'autoGainControl']);
/** Names that Chromium gives to the system's choice, beside the devices themselves. */
const STAND_INS = new Set(['default', 'communications', '']);

export class Devices extends EventTarget {
  /** @type {Microphone|null} */
  #microphone = null;
  #isLost = false;
  #isReplacing = false;
  /** @type {MediaStream|null} */
  #offered = null;

  /**
   * @param {Preferences} preferences
   * @param {{media?: MediaDevices, open?: typeof openMicrophone}} [parts]
   */
  constructor(preferences, { media = globalThis.navigator?.mediaDevices, open = openMicrophone } = {}) {
    super();
    this.preferences = preferences;
    this.media = media;
    this.openMicrophone = open;
    /** @type {Device[]} */
    this.microphones = [];
    /** @type {Device[]} */
    this.speakers = [];
    preferences.addEventListener('change', (event) => this.#chosen(/** @type {CustomEvent} */ (event).detail));
    media?.addEventListener?.('devicechange', () => this.#plugged());
    void this.refresh();
  }

  /** Open the microphone for a call. @throws {import('./microphone_errors.js').MicrophoneError} */
  async open() {
    const offered = this.#offered;
    this.#offered = null;
    const microphone = offered ? new Microphone(offered) : await this.openMicrophone(this.wish);
    this.#microphone = microphone;
    this.#isLost = false;
    microphone.onEnded = () => {
      this.#isLost = true;
      void this.#replaceLost(microphone);
    };
    void this.refresh();
    return microphone;
  }

  /** Use a stream that the browser gave by itself when the microphone is opened next. @param {MediaStream} stream */
  offer(stream) {
    this.#offered = stream;
  }

  /** Read the lists anew. Browsers tell names only while a page may use the microphone. */
  async refresh() {
    const found = (await this.media?.enumerateDevices?.().catch(() => [])) ?? [];
    const used = this.#current()?.track?.getSettings().deviceId ?? '';
    this.microphones = listOf(found, 'audioinput', used);
    this.speakers = listOf(found, 'audiooutput', this.preferences.get('speaker'));
    this.dispatchEvent(new Event('change'));
  }

  #current() {
    return this.#microphone?.isFree ? null : this.#microphone;
  }

  /** @param {string} name */
  #chosen(name) {
    if (name === 'speaker') void this.refresh();
    if (OF_MICROPHONE.has(name) && this.#current()) void this.#change(this.wish, 'microphone_not_changed');
  }

  #plugged() {
    const microphone = this.#current();
    if (this.#isLost && microphone) void this.#replaceLost(microphone);
    void this.refresh();
  }

  /** Browsers tell twice: the track has ended, and the devices have changed. @param {Microphone} microphone */
  async #replaceLost(microphone) {
    if (this.#isReplacing) return;
    this.#isReplacing = true;
    const isReplaced = await this.#change(this.wish);
    this.#isReplacing = false;
    if (isReplaced) this.#note('microphone_replaced', { name: microphone.track.label });
    else if (!microphone.isFree) microphone.onLost?.();
  }

  /**
   * Use another microphone from now on; without one, all stays as it is.
   * @param {import('./microphone.js').MicrophoneWish} wish
   * @param {string} [failureKey] what to say when it could not be opened
   */
  async #change(wish, failureKey) {
    const microphone = this.#current();
    const isChanged = await microphone?.change(wish).catch(() => {
      if (failureKey) this.#note(failureKey);
    });
    if (!microphone || !isChanged) return false;
    this.#isLost = false;
    this.dispatchEvent(new CustomEvent('microphone', { detail: microphone.stream }));
    await this.refresh();
    return true;
  }

  /** @returns {import('./microphone.js').MicrophoneWish} what was chosen */
  get wish() {
    return { deviceId: this.preferences.get('microphone'), ...this.processing };
  }

  /** What is done to the voice before it goes out. */
  get processing() {
    const { preferences } = this;
    return {
      echoCancellation: preferences.get('echoCancellation'),
      noiseSuppression: preferences.get('noiseSuppression'),
      autoGainControl: preferences.get('autoGainControl'),
    };
  }

  /** @param {string} key @param {Record<string, string>} [values] */
  #note(key, values = {}) {
    this.dispatchEvent(new CustomEvent('note', { detail: { key, values } }));
  }
}

/**
 * The devices of a kind that have a name, as a picker shows them.
 * @param {readonly MediaDeviceInfo[]} found
 * @param {MediaDeviceKind} kind
 * @param {string} usedId
 * @returns {Device[]}
 */
function listOf(found, kind, usedId) {
  const named = found.filter((device) => device.kind === kind && device.label && !STAND_INS.has(device.deviceId));
  return named.map(({ deviceId, label }) => ({ id: deviceId, label, isInUse: deviceId === usedId }));
}
