// @ts-check
// What one connection of a call holds, so that every way out frees all of it: transport and heartbeat.

import { CallReporter } from './call_reporter.js';

/** @typedef {import('./transport.js').Transport} Transport */

/** @typedef {['ended'|'failed', string, string?]} Outcome type, reason, detail */

export class Attempt {
  #abort = new AbortController();
  /** @type {CallReporter|null} */
  #reporter = null;
  /** @type {Outcome|null} */
  #outcome = null;

  /**
   * @param {(callId: string, report: import('./api.js').CallReport) => unknown} report
   * @param {(reason: string) => void} onEnded the server says that the call has ended
   */
  constructor(report, onEnded) {
    this.report = report;
    this.onEnded = onEnded;
    this.callId = '';
    this.requestId = '';
    this.closedEarly = false;
    /** @type {Transport|null} */
    this.transport = null;
  }

  get signal() {
    return this.#abort.signal;
  }

  get over() {
    return this.#abort.signal.aborted;
  }

  /**
   * Pass a value through while the try goes on.
   * @template T
   * @param {T} value
   * @returns {T}
   * @throws {DOMException} when the person has cancelled meanwhile
   */
  check(value) {
    this.#abort.signal.throwIfAborted();
    return value;
  }

  /** @param {Transport} transport */
  keepTransport(transport) {
    this.transport = transport;
    return this.check(transport);
  }

  /** The server has a call now; one that comes too late is ended at once. @param {string} callId */
  keepCallId(callId) {
    this.callId = callId;
    if (callId) this.#reporter = new CallReporter(callId, this.report, (reason) => this.over || this.onEnded(reason));
    if (this.#outcome) this.#reporter?.finish(...this.#outcome);
  }

  connected() {
    this.#reporter?.connected();
  }

  /** Say again how it ended: the first time nobody may have heard it. Returns why it ended by what the server knows. */
  async retell() {
    return (await this.#reporter?.retell()) ?? '';
  }

  /**
   * Free everything and tell the server how it ended. Only the first time counts.
   * @param {Outcome} outcome
   * @returns {unknown} settles when the server has been told; nothing when there was nothing to tell
   */
  finish(...outcome) {
    if (this.over) return undefined;
    this.#outcome = outcome;
    this.#abort.abort();
    const told = this.#reporter?.finish(...outcome);
    this.transport?.close();
    return told;
  }
}
