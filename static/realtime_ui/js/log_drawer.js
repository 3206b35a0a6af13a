// @ts-check
// The event log for those who debug: a `details` that is filled only while it is open.

/** @typedef {import('./event_log.js').EventLog} EventLog */

const REDRAW_MS = 300;

export class LogDrawer {
  /**
   * @param {HTMLDetailsElement} root
   * @param {EventLog} log
   */
  constructor(root, log) {
    this.root = root;
    this.log = log;
    this.list = /** @type {HTMLElement} */ (root.querySelector('[data-part=rows]'));
    this.count = /** @type {HTMLElement} */ (root.querySelector('[data-part=count]'));
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
    root.addEventListener('toggle', () => this.#draw());
  }

  /** Something was added: draw soon, once for many. */
  changed() {
    this.timer ??= setTimeout(() => this.#draw(), REDRAW_MS);
  }

  #draw() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.count.textContent = String(this.log.rows.length);
    if (this.root.open) this.list.replaceChildren(...this.log.rows.map((row) => rowElement(row, this.log.rows[0].atMs)));
  }
}

/** @param {import('./event_log.js').LogRow} row @param {number} startMs */
function rowElement(row, startMs) {
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  const times = row.count > 1 ? ` ×${row.count}` : '';
  summary.textContent = `${((row.atMs - startMs) / 1000).toFixed(2)} ${row.sent ? '→' : '←'} ${row.type}${times}`;
  const body = document.createElement('pre');
  body.textContent = row.body;
  details.append(summary, body);
  return details;
}
