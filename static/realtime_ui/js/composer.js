// @ts-check
// The box to type in: Enter sends, Shift+Enter breaks the line. What could not be sent stays in the box.
// Reads a `form` with `textarea`, `button`, `[data-part=hint]`; calls `onSend(text)`, which says whether it was sent.

/** @typedef {import('./words.js').Words} Words */

const COUNT_FROM_CHARS = 1_800;

export class Composer {
  /**
   * @param {HTMLFormElement} form
   * @param {Words} words
   * @param {(text: string) => boolean} onSend
   */
  constructor(form, words, onSend) {
    this.box = /** @type {HTMLTextAreaElement} */ (form.querySelector('textarea'));
    this.button = /** @type {HTMLButtonElement} */ (form.querySelector('button'));
    this.hint = /** @type {HTMLElement} */ (form.querySelector('[data-part=hint]'));
    this.words = words;
    this.onSend = onSend;
    this.isLive = false;
    form.addEventListener('submit', (event) => this.#submit(event));
    this.box.addEventListener('keydown', (event) => this.#key(event));
    this.box.addEventListener('input', () => this.#refresh());
  }

  /** @param {boolean} isLive */
  setLive(isLive) {
    if (isLive === this.isLive) return;
    this.isLive = isLive;
    this.#refresh();
  }

  focus() {
    this.box.focus();
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    if (!this.onSend(this.box.value)) return;
    this.box.value = '';
    this.#refresh();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.box.form?.requestSubmit();
  }

  #refresh() {
    const { length } = this.box.value;
    const left = this.box.maxLength - length;
    this.button.disabled = !this.isLive || !this.box.value.trim();
    const hint = this.isLive ? this.words('type_hint_live') : this.words('type_hint_idle');
    this.hint.dataset.kind = this.isLive && length < COUNT_FROM_CHARS ? 'keys' : 'state';
    this.hint.textContent = length >= COUNT_FROM_CHARS ? this.words('characters_left', { n: left }) : hint;
    // The rows follow the text, since a style attribute is not allowed here.
    this.box.rows = Math.min(5, 1 + (this.box.value.match(/\n/g)?.length ?? 0) + Math.floor(length / 60));
  }
}
