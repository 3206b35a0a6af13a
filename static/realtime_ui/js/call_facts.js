// @ts-check
// What only the server knows of a live call: what it has cost so far, and whether its assistant was muted there.
// The server's answers to the page's reports tell; a report more is made when an event says that there may be news.
// Emits `change`, and `muted` or `unmuted` when somebody there did so. Knows no document.

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {{costMicrodollars: number|null, isFree: boolean, assistantMuted: boolean, secondsLeft?: number|null}} Facts */

/** The server counts what a response used within a second or two; what it changed in the session it has done already. */
export const ASK_AFTER_MS = Object.freeze({ 'response.done': 2_500, 'session.updated': 300 });

/** @type {Facts} */
const NOTHING_KNOWN = Object.freeze({ costMicrodollars: null, isFree: false, assistantMuted: false });

export class CallFacts extends EventTarget {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {() => unknown} ask make a report, whose answer is given to `take` */
  constructor(ask) {
    super();
    this.ask = ask;
    this.now = NOTHING_KNOWN;
  }

  /** A new call begins. */
  begin() {
    this.stop();
    this.now = NOTHING_KNOWN;
    this.dispatchEvent(new Event('change'));
  }

  /** The call is over: nobody is asked any more. */
  stop() {
    clearTimeout(this.#timer);
  }

  /** @param {ServerEvent} event */
  note({ type }) {
    if (!Object.hasOwn(ASK_AFTER_MS, type)) return;
    this.stop();
    this.#timer = setTimeout(this.ask, ASK_AFTER_MS[/** @type {keyof typeof ASK_AFTER_MS} */ (type)]);
  }

  /** @param {Facts} facts */
  take({ costMicrodollars, isFree, assistantMuted }) {
    const before = this.now;
    this.now = { costMicrodollars, isFree, assistantMuted };
    if (assistantMuted !== before.assistantMuted) this.dispatchEvent(new Event(assistantMuted ? 'muted' : 'unmuted'));
    this.dispatchEvent(new Event('change'));
  }
}
