// @ts-check
// The raw events of a call for those who debug: bounded, repeated deltas folded, secrets masked as they come in.

/** @typedef {{atMs: number, sent: boolean, type: string, count: number, body: string}} LogRow */

export const MAX_ROWS = 2_000;
const MAX_BODY_CHARS = 4_000;

export class EventLog {
  /** @param {() => number} now */
  constructor(now = Date.now) {
    this.now = now;
    /** @type {LogRow[]} */
    this.rows = [];
  }

  /**
   * Add an event; a delta that repeats the last row's type is counted there.
   * @param {{type: string}} event
   * @param {boolean} sent
   */
  add(event, sent) {
    const last = this.rows.at(-1);
    if (last?.type === event.type && last.sent === sent && event.type.endsWith('.delta')) {
      last.count += 1;
      return;
    }
    this.rows.push({ atMs: this.now(), sent, type: event.type, count: 1, body: masked(event) });
    if (this.rows.length > MAX_ROWS) this.rows.shift();
  }
}

/**
 * JSON of an event without secrets and sound.
 * @param {object} event
 */
export function masked(event) {
  const text = JSON.stringify(event, (key, value) => (/^(audio|authorization|value|ephemeralKey)$/i.test(key) && typeof value === 'string' ? '…' : value), 2);
  return text
    .replace(/\b(ek|sk)_[\w-]+/g, '$1_…')
    .replace(/\bsk-[\w-]+/g, 'sk-…')
    .replace(/(a=ice-pwd:)[^\s\\"]+/g, '$1…')
    .slice(0, MAX_BODY_CHARS);
}
