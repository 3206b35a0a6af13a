// @ts-check
// Keep the screen on during a call. Browsers take the lock away with the tab, so it is asked for again on each return;
// one that refuses, for want of battery, is left alone until then.

export class WakeLock {
  #isWanted = false;
  #isAsking = false;
  /** @type {WakeLockSentinel|null} */
  #lock = null;

  /**
   * @param {Pick<globalThis.WakeLock, 'request'>|undefined} [screen]
   * @param {Pick<Document, 'hidden'|'addEventListener'>} [page]
   */
  constructor(screen = globalThis.navigator?.wakeLock, page = document) {
    this.screen = screen;
    this.page = page;
    page.addEventListener('visibilitychange', () => this.#ask());
  }

  /** @param {boolean} isWanted */
  want(isWanted) {
    if (isWanted === this.#isWanted) return;
    this.#isWanted = isWanted;
    if (isWanted) void this.#ask();
    else this.#release();
  }

  async #ask() {
    if (!this.#isWanted || this.page.hidden || this.#isAsking || this.#lock?.released === false) return;
    this.#isAsking = true;
    this.#lock = (await this.screen?.request('screen').catch(() => null)) ?? null;
    this.#isAsking = false;
    if (!this.#isWanted) this.#release();
  }

  #release() {
    void this.#lock?.release().catch(() => undefined);
    this.#lock = null;
  }
}
