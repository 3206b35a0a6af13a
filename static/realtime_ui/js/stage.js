// @ts-check
// The stage of the voice page: headline, line, steps and buttons as `describe()` says.
// Reads `.stage` with `[data-part]` places and `button[data-action]`; calls `onAction(action)` when one is pressed.

import { StatusLine } from './status_line.js';

/** @typedef {import('./presentation.js').View} View */
/** @typedef {import('./presentation.js').Action} Action */

export class Stage {
  /**
   * @param {HTMLElement} root
   * @param {(action: Action) => void} onAction
   */
  constructor(root, onAction) {
    this.headline = part(root, 'headline');
    this.line = part(root, 'line');
    this.steps = part(root, 'steps');
    this.reference = part(root, 'reference');
    this.status = new StatusLine(part(root, 'status'));
    this.alert = part(root, 'alert');
    /** @type {HTMLButtonElement[]} */
    this.buttons = [...root.querySelectorAll('button[data-action]')].map((button) => /** @type {HTMLButtonElement} */ (button));
    for (const button of this.buttons) button.addEventListener('click', () => onAction(actionOf(button)));
  }

  /**
   * @param {View} view
   * @param {Pick<import('./call.js').Call, 'muted'|'talkMode'>} call
   */
  show(view, call) {
    const hadFocus = this.buttons.some((button) => button === document.activeElement);
    const isNewAlert = view.isAlert && this.alert.textContent !== view.headline;
    this.#say(view);
    for (const button of this.buttons) this.#showButton(button, view, call);
    if (isNewAlert) this.headline.focus();
    else if (hadFocus && !isUsable(document.activeElement)) this.buttons.find(isUsable)?.focus();
  }

  /** Each text is set only when it differs, so that a screen reader hears each change once. @param {View} view */
  #say(view) {
    setText(this.headline, view.headline);
    setText(this.line, view.line);
    setText(/** @type {HTMLElement} */ (this.reference.querySelector('code')), view.reference);
    this.reference.hidden = !view.reference;
    this.status.say(view.isAlert ? '' : view.headline);
    setText(this.alert, view.isAlert ? view.headline : '');
    if (this.steps.dataset.shown === view.steps.join()) return;
    this.steps.dataset.shown = view.steps.join();
    this.steps.hidden = view.steps.length === 0;
    this.steps.replaceChildren(...view.steps.map(listItem));
  }

  /** @param {HTMLButtonElement} button @param {View} view @param {Pick<import('./call.js').Call, 'muted'|'talkMode'>} call */
  #showButton(button, view, { muted, talkMode }) {
    const action = actionOf(button);
    const label = view.buttons[action];
    button.hidden = label === undefined;
    button.disabled = view.disabled.includes(action);
    if (label !== undefined) setText(/** @type {HTMLElement} */ (button.querySelector('[data-label]') ?? button), label);
    if (action === 'talk') button.setAttribute('aria-pressed', String(talkMode === 'holding'));
    if (action === 'mute') button.setAttribute('aria-pressed', String(muted));
  }
}

/** @param {HTMLElement} root @param {string} name */
function part(root, name) {
  return /** @type {HTMLElement} */ (root.querySelector(`[data-part="${name}"]`));
}

/** @param {HTMLButtonElement} button */
function actionOf(button) {
  return /** @type {Action} */ (button.dataset.action);
}

/** @param {Element|null} element */
function isUsable(element) {
  return element instanceof HTMLButtonElement && !element.hidden && !element.disabled;
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} text */
function listItem(text) {
  const item = document.createElement('li');
  item.textContent = text;
  return item;
}
