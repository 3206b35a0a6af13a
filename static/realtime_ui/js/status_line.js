// @ts-check
// What a screen reader is told in passing: one short text for each change, and none again within a second.

export const REPEAT_AFTER_MS = 1_000;

export class StatusLine {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  /** @type {Map<string, number>} when each text was said last */
  #saidAtMs = new Map();

  /**
   * @param {{textContent: string|null}} element a live region
   * @param {() => number} [now] clock in milliseconds
   */
  constructor(element, now = () => performance.now()) {
    this.element = element;
    this.now = now;
  }

  /** Say a text; one that was said just now is said again later, if it still holds then. @param {string} text */
  say(text) {
    clearTimeout(this.#timer);
    if (this.element.textContent === text) return;
    const waitMs = (this.#saidAtMs.get(text) ?? -REPEAT_AFTER_MS) + REPEAT_AFTER_MS - this.now();
    if (text && waitMs > 0) {
      this.#timer = setTimeout(() => this.say(text), waitMs);
      return;
    }
    this.#saidAtMs.set(text, this.now());
    this.element.textContent = text;
  }
}
