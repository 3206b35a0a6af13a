// @ts-check
// Keep the server informed about one call: connected, a heartbeat while it lasts, and once how it ended.

/** @typedef {import('./api.js').CallReport} CallReport */

export const HEARTBEAT_MS = 15_000;

export class CallReporter {
  /**
   * @param {string} callId
   * @param {(callId: string, report: CallReport) => unknown} send gives why the call has ended, by what the server knows
   * @param {(reason: string) => void} [onEnded] the server says that the call has ended
   * @param {{setInterval: (run: () => void, ms: number) => any, clearInterval: (id: any) => void}} [timers]
   */
  constructor(callId, send, onEnded = () => {}, timers = globalThis) {
    this.callId = callId;
    this.send = send;
    this.onEnded = onEnded;
    /** @type {CallReport|null} */
    this.lastWord = null;
    this.timers = timers;
    this.over = false;
  }

  /** The call is live. */
  connected() {
    void this.#beat({ type: 'connected' });
    this.heartbeat = this.timers.setInterval(() => this.#beat({ type: 'heartbeat' }), HEARTBEAT_MS);
  }

  /** Say the last word again. */
  retell() {
    return this.lastWord ? this.send(this.callId, this.lastWord) : undefined;
  }

  /**
   * The call is over; only the first word about it counts.
   * @param {'ended'|'failed'} type
   * @param {string} reason
   * @param {string} [detail]
   * @returns {unknown} settles when the word has arrived
   */
  finish(type, reason, detail) {
    if (this.over) return undefined;
    this.over = true;
    this.timers.clearInterval(this.heartbeat);
    this.lastWord = detail ? { type, reason, detail } : { type, reason };
    return this.send(this.callId, this.lastWord);
  }

  /** @param {CallReport} report */
  async #beat(report) {
    const endReason = await this.send(this.callId, report);
    if (typeof endReason === 'string' && endReason && !this.over) this.onEnded(endReason);
  }
}
