// @ts-check
// Keep the server informed about one call: connected, a heartbeat while it lasts, and once how it ended.

/** @typedef {import('./api.js').CallReport} CallReport */

export const HEARTBEAT_MS = 15_000;

export class CallReporter {
  /**
   * @param {string} callId
   * @param {(callId: string, report: CallReport) => unknown} send
   * @param {{setInterval: (run: () => void, ms: number) => any, clearInterval: (id: any) => void}} [timers]
   */
  constructor(callId, send, timers = globalThis) {
    this.callId = callId;
    this.send = send;
    this.timers = timers;
    this.over = false;
  }

  /** The call is live. */
  connected() {
    this.send(this.callId, { type: 'connected' });
    this.heartbeat = this.timers.setInterval(() => this.send(this.callId, { type: 'heartbeat' }), HEARTBEAT_MS);
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
    return this.send(this.callId, detail ? { type, reason, detail } : { type, reason });
  }
}
