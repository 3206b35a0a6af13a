// @ts-check
// The box to type in: Enter sends, Shift+Enter breaks the line. What could not be sent stays in the box.
// Reads a `form` with `textarea`, `button`, `[data-part=hint]`; calls `onSend(text)`, which says whether it was sent.

import { BUSY_STATES } from './call_state.js';

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
    /** @type {import('./call_state.js').State} */
    this.state = 'idle';
    form.addEventListener('submit', (event) => this.#submit(event));
    this.box.addEventListener('keydown', (event) => this.#key(event));
    this.box.addEventListener('input', () => this.#refresh());
  }

  /** @param {import('./call_state.js').State} state of the call */
  show(state) {
    if (state === this.state) return;
    this.state = state;
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
    const isLive = this.state === 'live';
    const isCounting = length >= COUNT_FROM_CHARS;
    this.button.disabled = !isLive || !this.box.value.trim();
    this.hint.dataset.kind = isLive && !isCounting ? 'keys' : 'state';
    this.hint.textContent = isCounting ? this.words('characters_left', { n: this.box.maxLength - length }) : this.words(hintOf(this.state));
    // The rows follow the text, since a style attribute is not allowed here.
    this.box.rows = Math.min(5, 1 + (this.box.value.match(/\n/g)?.length ?? 0) + Math.floor(length / 60));
  }
}

/** @param {import('./call_state.js').State} state */
function hintOf(state) {
  if (state === 'live') return 'type_hint_live';
  return BUSY_STATES.has(state) ? 'type_hint_waiting' : 'type_hint_idle';
}
