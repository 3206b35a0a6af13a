// @ts-check
// What the server tells of a call by itself, over a channel of its own: the voice service's may stay open, and silent,
// when a call has ended. Emits `ended` (CustomEvent, `detail` is the reason), and `change` when an administrator begins or
// stops to read along, or has said something when ending the call. Knows no document.

/** How long the end of a call may be told after the page knew of it by another way. */
const LAST_WORD_MS = 5000;

export class CallNews extends EventTarget {
  /** @type {EventSource|null} */
  #source = null;
  #callId = '';
  #isOver = true;
  /** @type {any} */
  #timer;

  /** @param {string} url @param {(url: string) => EventSource} [open] */
  constructor(url, open = (address) => new EventSource(address)) {
    super();
    this.url = url;
    this.open = open;
    this.isWatched = false;
    /** What an administrator said when ending the call; it stays until the next one. */
    this.reason = '';
  }

  /** Listen for what happens to a call; empty for none: then only what was said of the last one's end. @param {string} callId */
  follow(callId) {
    if (callId ? callId === this.#callId && !this.#isOver : this.#isOver) return;
    this.#isOver = !callId;
    if (!callId) {
      this.#timer = setTimeout(() => this.#close(), LAST_WORD_MS);
      return this.#set(false, this.reason);
    }
    this.#close();
    this.#callId = callId;
    this.#source = this.open(this.url);
    this.#set(false, '');
    this.#source.addEventListener('call', (event) => this.#take(JSON.parse(event.data)));
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** @param {{callId: string|null, state: string, endReason: string|null, endDetail: string, isWatched: boolean}} call */
  #take({ callId, state, endReason, endDetail, isWatched }) {
    if (callId !== this.#callId) return;
    this.#set(isWatched && state === 'live' && !this.#isOver, endReason === 'administrator' ? endDetail : '');
    if (state !== 'ended') return;
    this.#close();
    if (!this.#isOver) this.dispatchEvent(new CustomEvent('ended', { detail: endReason ?? '' }));
  }

  /** @param {boolean} isWatched @param {string} reason */
  #set(isWatched, reason) {
    if (isWatched === this.isWatched && reason === this.reason) return;
    Object.assign(this, { isWatched, reason });
    this.dispatchEvent(new Event('change'));
  }
}
