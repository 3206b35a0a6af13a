// @ts-check
// When to try again after a connection was lost: after one, two and four seconds, not counting while there is no
// network. Knows no call. `changed` is called whenever what the page shows of it differs.

export const RECONNECT_DELAYS_MS = Object.freeze([1_000, 2_000, 4_000]);
/** A connection that held so long is not the one that broke before: the tries begin anew. */
export const STABLE_MS = 30_000;

/** Refusals that may pass by themselves; every other one is told at once. */
const PASSING = new Set([
  'network', 'connection_lost', 'webrtc_connection_failed', 'ephemeral_key_expired', 'too_many_calls', 'rate_limited',
  'busy', 'limits_unavailable', 'audit_unavailable', 'openai_api_unavailable', 'upstream_timeout', 'upstream_bad_response',
  'unknown_openai_error', 'unknown',
]);

/** @typedef {{isOnline: () => boolean, onOnline: (listener: () => void, signal: AbortSignal) => void}} Network */

export class Reconnection {
  #tries = 0;
  #connectedAtMs = 0;
  #lostAtMs = 0;
  /** @type {() => void} */
  #skip = () => {};

  /** @param {{changed: () => void, network: Network, now: () => number}} parts */
  constructor({ changed, network, now }) {
    this.changed = changed;
    this.network = network;
    this.now = now;
    /** Which try is next or under way, from 1; 0 without one. */
    this.attempt = 0;
    /** When the next try begins; 0 while one is under way. */
    this.retryAtMs = 0;
    this.isOffline = false;
  }

  /** Another call. */
  reset() {
    this.#tries = this.attempt = this.retryAtMs = 0;
    this.isOffline = false;
  }

  connected() {
    this.#connectedAtMs = this.now();
    this.attempt = 0;
  }

  lost() {
    this.#lostAtMs = this.now();
    if (this.#lostAtMs - this.#connectedAtMs >= STABLE_MS) this.#tries = 0;
  }

  /** Given up on purpose: the first try is due at once. */
  soon() {
    this.#tries = 0;
    this.#lostAtMs = this.now() - RECONNECT_DELAYS_MS[0];
  }

  /**
   * Wait until it is time for the next try.
   * @param {AbortSignal} signal nobody wants it any more
   * @returns {Promise<boolean>} false when there is none left, or nobody wants it
   */
  async wait(signal) {
    if (this.#tries >= RECONNECT_DELAYS_MS.length) return false;
    await this.#untilOnline(signal);
    this.attempt = this.#tries + 1;
    this.retryAtMs = Math.max(this.now(), this.#lostAtMs + RECONNECT_DELAYS_MS[this.#tries]);
    await this.#pause(this.retryAtMs - this.now(), signal);
    await this.#untilOnline(signal);
    this.#tries += 1;
    this.retryAtMs = 0;
    if (!signal.aborted) this.changed();
    return !signal.aborted;
  }

  /** The try before came to nothing: the next delay counts from now. */
  failed() {
    this.#lostAtMs = this.now();
  }

  /** Wait no longer. */
  tryNow() {
    this.#skip();
  }

  /** @param {AbortSignal} signal */
  async #untilOnline(signal) {
    if (this.network.isOnline() || signal.aborted) return;
    this.isOffline = true;
    this.changed();
    await this.#until((done, ended) => this.network.onOnline(done, ended), signal);
    this.isOffline = false;
  }

  /** @param {number} ms @param {AbortSignal} signal */
  async #pause(ms, signal) {
    if (signal.aborted) return;
    this.changed();
    await this.#until((done, ended) => {
      const timer = setTimeout(done, ms);
      ended.addEventListener('abort', () => clearTimeout(timer));
    }, signal);
  }

  /** Wait for something, for Try now, or until nobody wants it any more. @param {(done: () => void, ended: AbortSignal) => void} begin @param {AbortSignal} signal */
  async #until(begin, signal) {
    const over = new AbortController();
    await new Promise((resolve) => {
      const done = () => resolve(undefined);
      this.#skip = done;
      signal.addEventListener('abort', done, { signal: over.signal });
      begin(done, over.signal);
    });
    over.abort();
  }
}

/** Whether a refusal may be another answer in a few seconds. @param {string} code */
export function mayPass(code) {
  return PASSING.has(code);
}
