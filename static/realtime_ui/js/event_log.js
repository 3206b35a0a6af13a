// @ts-check
// The raw events of a call for those who debug: bounded, repeated deltas folded, secrets and sound masked as they come in.
// Knows no document.

import { maskText } from './masking.js';

/**
 * @typedef {object} LogRow
 * @property {number} number counts up, never used twice
 * @property {number} atMs
 * @property {boolean} sent
 * @property {string} type
 * @property {number} count how many were folded into this row
 * @property {number} bytes of all of them, as JSON
 * @property {boolean} isError
 * @property {string} body JSON of the first of them, masked
 */
/** @typedef {{text: string, kind: 'all'|'sent'|'received'|'errors'}} LogFilter */

export const MAX_ROWS = 2_000;
/** Longer texts in an event are cut: what debugs is in the fields, not in the prose. */
const MAX_TEXT_CHARS = 1_000;
const MAX_BODY_CHARS = 20_000;
const SECRET_FIELD = /^(authorization|value|ephemeralKey|password|api_?key)$/i;
/** Events whose `delta` is sound. */
const SOUND_DELTA = 'response.output_audio.delta';

export class EventLog {
  /** @param {() => number} now */
  constructor(now = Date.now) {
    this.now = now;
    /** @type {LogRow[]} */
    this.rows = [];
    /** How many of the oldest had to go. */
    this.dropped = 0;
    this.startMs = now();
  }

  clear() {
    this.rows = [];
    this.dropped = 0;
    this.startMs = this.now();
  }

  /**
   * Add an event; a delta among deltas is counted in the row of its type.
   * @param {{type: string}} event
   * @param {boolean} sent
   */
  add(event, sent) {
    const bytes = JSON.stringify(event).length;
    const same = this.#foldable(event.type, sent);
    if (same) {
      same.count += 1;
      same.bytes += bytes;
      return;
    }
    this.rows.push({ number: this.dropped + this.rows.length, atMs: this.now(), sent, type: event.type, count: 1, bytes, isError: isError(event), body: masked(event) });
    if (this.rows.length <= MAX_ROWS) return;
    this.rows.shift();
    this.dropped += 1;
  }

  /** @param {LogFilter} filter */
  matching({ text, kind }) {
    const wanted = text.trim().toLowerCase();
    return this.rows.filter((row) => isOfKind(row, kind) && (!wanted || row.type.includes(wanted) || row.body.toLowerCase().includes(wanted)));
  }

  /** The row of the same type in the run of deltas that stands last. @param {string} type @param {boolean} sent */
  #foldable(type, sent) {
    if (!isDelta(type)) return null;
    for (let index = this.rows.length - 1; index >= 0 && isDelta(this.rows[index].type); index -= 1) {
      if (this.rows[index].type === type && this.rows[index].sent === sent) return this.rows[index];
    }
    return null;
  }
}

/** One line of JSON for each row. @param {readonly LogRow[]} rows */
export function jsonLines(rows) {
  const line = (/** @type {LogRow} */ row) => `{"at":"${new Date(row.atMs).toISOString()}","direction":"${row.sent ? 'sent' : 'received'}","count":${row.count},"bytes":${row.bytes},"event":${row.body}}\n`;
  return rows.map(line).join('');
}

/**
 * JSON of an event without secrets and sound; stays JSON whatever is left out.
 * @param {{type: string}} event
 */
export function masked(event) {
  const text = JSON.stringify(event, (key, value) => maskedField(event.type, key, value));
  return text.length <= MAX_BODY_CHARS ? text : JSON.stringify({ type: event.type, note: `${text.length} characters, left out` });
}

/** @param {string} type @param {string} key @param {unknown} value */
function maskedField(type, key, value) {
  if (typeof value !== 'string') return value;
  if (SECRET_FIELD.test(key) || key === 'audio' || (key === 'delta' && type === SOUND_DELTA)) return '…';
  const text = maskText(value);
  return text.length <= MAX_TEXT_CHARS ? text : `${text.slice(0, MAX_TEXT_CHARS)}…`;
}

/** @param {string} type */
function isDelta(type) {
  return type.endsWith('.delta') || type === 'input_audio_buffer.append';
}

/** @param {{type: string, response?: {status?: string}}} event */
function isError(event) {
  return event.type === 'error' || event.type.endsWith('.failed') || event.response?.status === 'failed';
}

/** @param {LogRow} row @param {LogFilter['kind']} kind */
function isOfKind(row, kind) {
  if (kind === 'all') return true;
  return kind === 'errors' ? row.isError : row.sent === (kind === 'sent');
}
