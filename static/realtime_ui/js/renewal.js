// @ts-check
// When a call over WebRTC has to go on in another connection, because the voice service ends its session soon. The
// session tells when (`expires_at`, Unix seconds). Knows no call: `isQuiet` and `due` are passed in. Over WebSocket the
// server sees to it.

/** @typedef {import('./events.js').ServerEvent} ServerEvent */

/** Before the end a quiet moment is looked for; nearer to it any moment will do. */
export const LEAD_MS = 120_000;
export const MARGIN_MS = 15_000;
/** Of a short session's life these are at most a fourth and a tenth. */
const [LEAD_SHARE, MARGIN_SHARE] = [4, 10];

export class Renewal {
  /** @type {Array<ReturnType<typeof setTimeout>>} */
  #timers = [];
  #quietFromMs = Infinity;
  #anyFromMs = Infinity;

  /** @param {{isQuiet: () => boolean, due: () => void, longestMs: number, now: () => number}} parts longestMs: how long a call may last at most */
  constructor({ isQuiet, due, longestMs, now }) {
    this.isQuiet = isQuiet;
    this.due = due;
    this.longestMs = longestMs;
    this.now = now;
  }

  /** @param {ServerEvent} event */
  apply(event) {
    if (event.type !== 'session.created') return;
    this.reset();
    const expiresMs = (event.session?.expires_at ?? 0) * 1000;
    const lifeMs = expiresMs - this.now();
    if (lifeMs <= 0 || this.now() + this.longestMs <= expiresMs) return;
    this.#quietFromMs = expiresMs - Math.min(LEAD_MS, lifeMs / LEAD_SHARE);
    this.#anyFromMs = expiresMs - Math.min(MARGIN_MS, lifeMs / MARGIN_SHARE);
    this.#timers = [this.#quietFromMs, this.#anyFromMs].map((ms) => setTimeout(() => this.look(), ms - this.now()));
  }

  /** Something is another way than it was: it may be time. */
  look() {
    const now = this.now();
    if (now < this.#anyFromMs && !(now >= this.#quietFromMs && this.isQuiet())) return;
    this.reset();
    this.due();
  }

  reset() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
    this.#quietFromMs = this.#anyFromMs = Infinity;
  }
}
