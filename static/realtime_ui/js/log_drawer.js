// @ts-check
// The event log for those who debug: a `details` that is filled only while it is open, and remembers whether it was.
// Reads `[data-part=count]`, `[data-part=dropped]`, `ol[data-part=rows]`, fields named `log-text` and `log-kind`, and
// `button[data-log]`: clear, copy, download.

import { EventLog, jsonLines } from './event_log.js';
import { saveFile } from './save_file.js';

/** @typedef {import('./event_log.js').LogRow} LogRow */
/** @typedef {import('./event_log.js').LogFilter} LogFilter */
/** @typedef {import('./words.js').Words} Words */

const REDRAW_MS = 300;

/** @param {HTMLDetailsElement} root @param {import('./preferences.js').Preferences} preferences @param {Words} words */
export function openLog(root, preferences, words) {
  return new LogDrawer(root, new EventLog(), preferences, words);
}

export class LogDrawer {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  /** @type {Map<number, HTMLElement>} by the row's number */
  #shown = new Map();

  /**
   * @param {HTMLDetailsElement} root
   * @param {EventLog} log
   * @param {import('./preferences.js').Preferences} preferences
   * @param {Words} words
   */
  constructor(root, log, preferences, words) {
    this.root = root;
    this.log = log;
    this.words = words;
    this.list = part(root, 'rows');
    this.text = /** @type {HTMLInputElement} */ (root.querySelector('[name=log-text]'));
    this.kind = /** @type {HTMLSelectElement} */ (root.querySelector('[name=log-kind]'));
    root.open = preferences.get('logOpen');
    root.addEventListener('toggle', () => {
      preferences.set('logOpen', root.open);
      this.#draw();
    });
    for (const field of [this.text, this.kind]) field.addEventListener('input', () => this.#draw());
    this.#onClick('clear', () => this.clear());
    this.#onClick('copy', () => navigator.clipboard.writeText(jsonLines(this.#rows())));
    this.#onClick('download', () => saveFile('events.jsonl', 'application/jsonl', jsonLines(this.#rows())));
  }

  /** What the page tells itself is no event of the protocol. @param {{type: string}} event @param {boolean} sent */
  add(event, sent) {
    if (event.type.startsWith('local.')) return;
    this.log.add(event, sent);
    this.#timer ??= setTimeout(() => this.#draw(), REDRAW_MS);
  }

  clear() {
    this.log.clear();
    this.#shown.clear();
    this.list.replaceChildren();
    this.#draw();
  }

  /** @param {string} action @param {() => unknown} act */
  #onClick(action, act) {
    this.root.querySelector(`button[data-log=${action}]`)?.addEventListener('click', act);
  }

  #rows() {
    return this.log.matching({ text: this.text.value, kind: /** @type {LogFilter['kind']} */ (this.kind.value) });
  }

  /** Rows that are shown already stay, with what is open and focused in them. */
  #draw() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    part(this.root, 'count').textContent = String(this.log.rows.length);
    part(this.root, 'dropped').textContent = this.log.dropped ? this.words('log_dropped', { n: this.log.dropped }) : '';
    if (!this.root.open) return;
    const rows = this.#rows();
    this.#forgetAllBut(new Set(rows.map((row) => row.number)));
    let there = this.list.firstElementChild;
    for (const row of rows) {
      const element = this.#element(row);
      if (element === there) there = there.nextElementSibling;
      else this.list.insertBefore(element, there);
    }
  }

  /** @param {Set<number>} wanted */
  #forgetAllBut(wanted) {
    for (const [number, element] of this.#shown) {
      if (wanted.has(number)) continue;
      element.remove();
      this.#shown.delete(number);
    }
  }

  /** @param {LogRow} row */
  #element(row) {
    const element = this.#shown.get(row.number) ?? createElement(row);
    this.#shown.set(row.number, element);
    const button = /** @type {HTMLElement} */ (element.firstElementChild);
    const text = this.#line(row);
    if (button.textContent !== text) button.textContent = text;
    return element;
  }

  /** @param {LogRow} row */
  #line(row) {
    const at = ((row.atMs - this.log.startMs) / 1000).toFixed(2);
    const direction = this.words(row.sent ? 'log_sent' : 'log_received');
    const times = row.count > 1 ? ` ×${row.count}` : '';
    return `${at} ${direction} ${row.type}${times} ${this.words('log_bytes', { n: row.bytes })}`;
  }
}

/** A row is a button that opens and closes its event. @param {LogRow} row */
function createElement(row) {
  const element = document.createElement('li');
  const button = document.createElement('button');
  const body = document.createElement('pre');
  button.type = 'button';
  button.className = 'log-drawer__row';
  button.toggleAttribute('data-error', row.isError);
  button.setAttribute('aria-expanded', 'false');
  body.hidden = true;
  button.addEventListener('click', () => {
    body.textContent ||= JSON.stringify(JSON.parse(row.body), null, 2);
    body.hidden = !body.hidden;
    button.setAttribute('aria-expanded', String(!body.hidden));
  });
  element.append(button, body);
  return element;
}

/** @param {HTMLElement} root @param {string} name */
function part(root, name) {
  return /** @type {HTMLElement} */ (root.querySelector(`[data-part=${name}]`));
}
