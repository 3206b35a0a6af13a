// @ts-check
// The dialog that asks whether a tool may run. Reads `dialog.approval` with `[data-part]` places `title`, `arguments`
// and buttons `allow` and `refuse`; calls `onDecision(approve)` when one is pressed. It cannot be closed unanswered.

import { readableArguments } from './call_tools.js';

/** @typedef {import('./call_tools.js').ToolCall} ToolCall */

export class ApprovalDialog {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {import('./words.js').Words} words
   * @param {(approve: boolean) => void} onDecision
   */
  constructor(dialog, words, onDecision) {
    this.dialog = dialog;
    this.words = words;
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    this.#part('allow').addEventListener('click', () => onDecision(true));
    this.#part('refuse').addEventListener('click', () => onDecision(false));
  }

  /** @param {ToolCall|null} waiting */
  show(waiting) {
    if (!waiting) return this.dialog.close();
    this.#part('title').textContent = this.words('approval_title', { tool: waiting.publicName });
    this.#part('arguments').replaceChildren(...readableArguments(waiting.arguments).flatMap(row));
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.dialog.querySelector(`[data-part=${name}]`));
  }
}

/** @param {[string, string]} entry */
function row([name, value]) {
  const [term, told] = [document.createElement('dt'), document.createElement('dd')];
  term.textContent = name;
  told.textContent = value;
  return [term, told];
}
