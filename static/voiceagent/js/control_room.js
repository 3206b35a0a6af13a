// @ts-check
// The control room: rows and facts of calls that change by themselves, and what is said in the one that is read. Reads
// `data-stream` and `data-last` of `.live`, `data-call` of rows and facts, and writes into their `data-field`s.

import './admin_times.js';
import { EventStream } from './event_stream.js';
import { showLocalTimes } from './local_times.js';

/** @typedef {{id: number, user: string, agent: string, state: string, transport: string, requestedAt: string, activeAt: string|null, costMicrodollars: number|null, muted: boolean, isWatched: boolean}} LiveCall */

const page = /** @type {HTMLElement} */ (document.querySelector('.live'));
const rows = page.querySelector('[data-part=rows]');
const words = page.querySelector('[data-part=words]');
const STATES = new Map([['requested', 'Requested'], ['live', 'Live'], ['ended', 'Ended'], ['failed', 'Failed'], ['unknown', 'Outcome unknown']]);

new EventStream(page.dataset.stream ?? '', { call: show, words: showWords }, { last: page.dataset.last, poll: () => location.reload() });

/** @param {LiveCall} call */
function show(call) {
  const place = page.querySelector(`[data-call="${Number(call.id)}"]`) ?? addRow(call);
  if (!place) return;
  const isOpen = call.state === 'live' || call.state === 'requested';
  write(place, 'user', call.user);
  write(place, 'agent', call.agent);
  write(place, 'transport', call.transport);
  write(place, 'state', STATES.get(call.state) ?? call.state);
  write(place, 'cost', call.costMicrodollars === null ? '' : `$${(call.costMicrodollars / 1e6).toFixed(4)}`);
  writeTime(place, 'since', call.requestedAt);
  writeTime(place, 'active', call.activeAt);
  field(place, 'muted').hidden = !call.muted;
  field(place, 'watched').hidden = !call.isWatched;
  field(place, 'state').className = `badge badge--${isOpen ? 'good' : 'quiet'}`;
  if (!rows && !isOpen) close();
}

/** A call that began since; of one that is over nobody needs a row. @param {LiveCall} call */
function addRow(call) {
  if (!rows || !['live', 'requested'].includes(call.state)) return null;
  const template = /** @type {HTMLTemplateElement} */ (page.querySelector('[data-part=new-row]'));
  const row = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
  row.dataset.call = String(call.id);
  const link = /** @type {HTMLAnchorElement} */ (field(row, 'link'));
  link.href = `${call.id}/`;
  rows.prepend(row);
  /** @type {HTMLElement} */ (page.querySelector('[data-part=none]')).hidden = true;
  return row;
}

/** Nothing can be done in a call that is over. */
function close() {
  /** @type {HTMLElement} */ (page.querySelector('[data-part=over]')).hidden = false;
  page.querySelector('[data-part=forms]')?.remove();
}

/** @param {{lines: {role: string, text: string, status: string}[]}} told */
function showWords({ lines }) {
  if (!words) return;
  const isAtEnd = words.scrollTop + words.clientHeight >= words.scrollHeight - 40;
  words.replaceChildren(...lines.map(lineOf));
  if (isAtEnd) words.scrollTop = words.scrollHeight;
}

/** @param {{role: string, text: string, status: string}} line */
function lineOf({ role, text, status }) {
  const [line, who] = [document.createElement('p'), document.createElement('b')];
  who.textContent = `${role} `;
  line.append(who, text || '…', status === 'interrupted' ? ' (interrupted)' : '');
  return line;
}

/** @param {Element} place @param {string} name @param {string} text */
function write(place, name, text) {
  const element = field(place, name);
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} place @param {string} name @param {string|null} moment */
function writeTime(place, name, moment) {
  if (!moment) return;
  const time = document.createElement('time');
  time.dateTime = moment;
  time.title = `${moment.slice(0, 19).replace('T', ' ')} UTC`;
  const element = field(place, name);
  element.replaceChildren(time);
  showLocalTimes(element);
}

/** @param {Element} place @param {string} name */
function field(place, name) {
  return /** @type {HTMLElement} */ (place.querySelector(`[data-field=${name}]`));
}
