// @ts-check
// What the server tells of a call by itself, over a channel of its own: the voice service's may stay open, and silent,
// when a call has ended. Emits `ended` (CustomEvent, `detail` is the reason), and `change` when an administrator begins or
// stops to read along, or has said something when ending the call. Knows no document.

export class CallNews extends EventTarget {
  /** @type {EventSource|null} */
  #source = null;
  #callId = '';

  /** @param {string} url @param {(url: string) => EventSource} [open] */
  constructor(url, open = (address) => new EventSource(address)) {
    super();
    this.url = url;
    this.open = open;
    this.isWatched = false;
    /** What an administrator said when ending the call; it stays until the next one. */
    this.reason = '';
  }

  /** Listen for what happens to a call; empty for none. @param {string} callId */
  follow(callId) {
    if (callId === this.#callId) return;
    this.#callId = callId;
    this.#source?.close();
    this.#source = callId ? this.open(this.url) : null;
    this.#set(false, callId ? '' : this.reason);
    this.#source?.addEventListener('call', (event) => this.#take(JSON.parse(event.data)));
  }

  /** @param {{callId: string|null, state: string, endReason: string|null, endDetail: string, isWatched: boolean}} call */
  #take({ callId, state, endReason, endDetail, isWatched }) {
    if (callId !== this.#callId) return;
    this.#set(isWatched && state === 'live', endReason === 'administrator' ? endDetail : '');
    if (state === 'ended') this.dispatchEvent(new CustomEvent('ended', { detail: endReason ?? '' }));
  }

  /** @param {boolean} isWatched @param {string} reason */
  #set(isWatched, reason) {
    if (isWatched === this.isWatched && reason === this.reason) return;
    Object.assign(this, { isWatched, reason });
    this.dispatchEvent(new Event('change'));
  }
}
