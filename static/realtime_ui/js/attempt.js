// @ts-check
// What one try at a call holds, so that every way out frees all of it: microphone, transport, heartbeat.

import { CallReporter } from './call_reporter.js';

/** @typedef {import('./microphone.js').SoundSource} SoundSource */
/** @typedef {import('./transport.js').Transport} Transport */

/** @typedef {['ended'|'failed', string, string?]} Outcome type, reason, detail */

export class Attempt {
  #abort = new AbortController();
  /** @type {CallReporter|null} */
  #reporter = null;
  /** @type {Outcome|null} */
  #outcome = null;

  /** @param {(callId: string, report: import('./api.js').CallReport) => unknown} report */
  constructor(report) {
    this.report = report;
    this.callId = '';
    this.requestId = '';
    this.closedEarly = false;
    /** @type {SoundSource|null} */
    this.source = null;
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

  /** Hold a sound source; one that comes too late is freed at once. @param {SoundSource} source */
  keepSource(source) {
    if (this.over) source.free();
    this.source = source;
    return this.check(source);
  }

  /** @param {Transport} transport */
  keepTransport(transport) {
    this.transport = transport;
    return this.check(transport);
  }

  /** The server has a call now; one that comes too late is ended at once. @param {string} callId */
  keepCallId(callId) {
    this.callId = callId;
    if (callId) this.#reporter = new CallReporter(callId, this.report);
    if (this.#outcome) this.#reporter?.finish(...this.#outcome);
  }

  connected() {
    this.#reporter?.connected();
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
    this.source?.free();
    this.transport?.close();
    return told;
  }
}
