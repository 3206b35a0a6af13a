// @ts-check
// A stream of server-sent events for as long as its page is seen: closed while the tab is hidden, opened again from the
// last event, and where no stream can be had somebody is asked every ten seconds instead. Knows no elements.

export const POLL_MS = 10_000;

/**
 * @typedef {object} Around what is there in a browser
 * @property {new (url: string) => EventSource} EventSource
 * @property {Pick<Document, 'hidden'|'addEventListener'|'removeEventListener'>} document
 * @property {(run: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

export class EventStream {
  /** @type {EventSource|null} */
  #source = null;
  /** @type {any} */
  #timer;
  #over = false;

  /**
   * @param {string} url
   * @param {Readonly<Record<string, (data: any) => void>>} listeners what to do with each event's data; `end`: signed out
   * @param {{last?: string, poll?: () => void}} [options] last: the id of the last event that the page shows. poll: asks
   * the server in the stream's place
   * @param {Around} [around]
   */
  constructor(url, listeners, { last = '', poll = () => {} } = {}, around = /** @type {any} */ (globalThis)) {
    this.url = url;
    this.listeners = listeners;
    this.last = last;
    this.poll = poll;
    this.around = around;
    this.onVisible = () => (around.document.hidden ? this.#close() : this.#open());
    around.document.addEventListener('visibilitychange', this.onVisible);
    this.onVisible();
  }

  /** End it for good. */
  stop() {
    this.#over = true;
    this.#close();
    this.around.document.removeEventListener('visibilitychange', this.onVisible);
  }

  #open() {
    if (this.#source || this.#over) return;
    const separator = this.url.includes('?') ? '&' : '?';
    const source = new this.around.EventSource(this.last ? `${this.url}${separator}last=${this.last}` : this.url);
    this.#source = source;
    for (const [name, listener] of Object.entries(this.listeners)) {
      source.addEventListener(name, (event) => this.#take(/** @type {MessageEvent} */ (event), listener));
    }
    source.addEventListener('end', () => this.stop());
    source.addEventListener('error', () => this.#failed(source));
  }

  /** @param {MessageEvent} event @param {(data: any) => void} listener */
  #take(event, listener) {
    if (event.lastEventId) this.last = event.lastEventId;
    listener(JSON.parse(event.data));
  }

  /** A connection that broke off is the browser's to open again; one that was refused is closed. @param {EventSource} source */
  #failed(source) {
    if (source.readyState !== 2 || source !== this.#source) return;
    this.#close();
    this.#timer = this.around.setTimeout(() => {
      this.poll();
      if (!this.around.document.hidden) this.#open();
    }, POLL_MS);
  }

  #close() {
    this.#source?.close();
    this.#source = null;
    this.around.clearTimeout(this.#timer);
  }
}
