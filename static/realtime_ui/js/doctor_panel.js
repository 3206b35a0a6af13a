// @ts-check
// The dialog of the connection doctor. Reads `dialog.doctor` with `[data-part]` places `checks`, `summary` and buttons
// `again`, `copy`, `close`. Loaded when it is first asked for.

import { CHECKS, examine } from './doctor.js';
import { reportText } from './doctor_report.js';
import { browserTools } from './doctor_tools.js';

/** @typedef {import('./doctor.js').Result} Result */
/** @typedef {import('./words.js').Words} Words */

/** @type {DoctorPanel|undefined} */
let panel;

/**
 * Look at everything, in a dialog. Made once.
 * @param {HTMLElement} dialog
 * @param {Words} words
 * @param {{config: import('./doctor_tools.js').ToolsConfig, wish: () => import('./doctor_tools.js').ToolsWish, failure: () => import('./call_errors.js').Failure|null}} parts
 */
export function openDoctor(dialog, words, { config, wish, failure }) {
  panel ??= new DoctorPanel(/** @type {HTMLDialogElement} */ (dialog), words, { tools: () => browserTools(config, wish()), failure });
  panel.open();
}

class DoctorPanel {
  #running = new AbortController();
  /** @type {Result[]} */
  #results = [];

  /**
   * @param {HTMLDialogElement} dialog
   * @param {Words} words
   * @param {{tools: () => import('./doctor.js').Tools, failure: () => import('./call_errors.js').Failure|null}} parts asked for at each examination
   */
  constructor(dialog, words, parts) {
    this.dialog = dialog;
    this.words = words;
    this.parts = parts;
    this.list = this.#part('checks');
    this.summary = this.#part('summary');
    this.#part('again').addEventListener('click', () => this.#examine());
    this.#part('copy').addEventListener('click', () => this.#copy());
    this.#part('close').addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => this.#running.abort());
  }

  /** Show it and look at everything. */
  open() {
    if (this.dialog.open) return;
    this.dialog.showModal();
    void this.#examine();
  }

  async #examine() {
    this.#running.abort();
    const running = (this.#running = new AbortController());
    this.dialog.dataset.state = 'running';
    this.summary.textContent = this.words('doctor_running');
    this.list.replaceChildren(...Object.keys(CHECKS).map((name) => this.#row(name)));
    const results = await examine(this.parts.tools(), (name, result) => running === this.#running && this.#show(name, result), running.signal);
    if (running !== this.#running || running.signal.aborted) return;
    this.#results = results;
    this.dialog.dataset.state = 'done';
    this.summary.textContent = this.words(['bad', 'warning'].map((verdict) => (results.some((result) => result.verdict === verdict) ? `doctor_${verdict}` : '')).find(Boolean) ?? 'doctor_good');
  }

  /** @param {string} name */
  #row(name) {
    const row = document.createElement('li');
    row.dataset.check = name;
    row.append(textOf('strong', this.words(`doctor_${name}`)), textOf('span', ''), textOf('p', ''));
    return row;
  }

  /** @param {string} name @param {Result|null} result */
  #show(name, result) {
    const row = /** @type {HTMLElement} */ (this.list.querySelector(`[data-check=${name}]`));
    row.dataset.verdict = result?.verdict ?? 'running';
    row.children[1].textContent = this.words(`doctor_verdict_${result?.verdict ?? 'running'}`);
    row.children[2].textContent = result ? this.#advice(result) : name === 'level' ? this.words('doctor_level_running') : '';
  }

  /** What goes well needs few words. @param {Result} result */
  #advice({ name, outcome, values }) {
    if (outcome === 'broken' || outcome === 'skipped') return this.words(`doctor_${outcome}`);
    if (outcome === 'blocked' && name === 'microphone') return this.words('doctor_permission_denied');
    if (name === 'microphone' && outcome !== 'open') return `${this.words(`microphone_${outcome}`)}. ${this.words(`microphone_${outcome}_line`)}`;
    return this.words(`doctor_${name}_${outcome}`, values);
  }

  async #copy() {
    const about = { at: new Date(), page: location.origin + location.pathname, userAgent: navigator.userAgent, failure: this.parts.failure() };
    await navigator.clipboard.writeText(reportText(this.#results, about));
    this.summary.textContent = this.words('copied');
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.dialog.querySelector(`[data-part=${name}]`));
  }
}

/** @param {string} tag @param {string} text */
function textOf(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
