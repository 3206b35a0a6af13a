// @ts-check
// The list of one's own calls: rows that change while the page is open, and more rows in place. Reads `data-stream` and
// `data-last` of `.calls`, `data-call` and `data-live` of rows. Without it the list is as it was when it was asked for.

import '../../voiceagent/js/admin_times.js';
import { EventStream } from '../../voiceagent/js/event_stream.js';
import { showLocalTimes } from '../../voiceagent/js/local_times.js';

const page = /** @type {HTMLElement} */ (document.querySelector('.calls'));
const rows = /** @type {HTMLElement} */ (page.querySelector('[data-part=rows]'));

new EventStream(page.dataset.stream ?? '', { call: ({ id }) => refresh(id) }, { last: page.dataset.last, poll: refreshLive });
page.addEventListener('click', (event) => {
  const link = /** @type {HTMLElement} */ (event.target).closest?.('[data-part=more]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  showMore(/** @type {HTMLAnchorElement} */ (link));
});

/** Show a call as it is now; a new one where the list begins with the newest. @param {number|string} id */
async function refresh(id) {
  const shown = rows.querySelector(`[data-call="${Number(id)}"]`);
  if (!shown && !('takesNew' in rows.dataset)) return;
  const row = (await part(`${Number(id)}/row/`))?.querySelector('tr');
  if (!row) return;
  showLocalTimes(row);
  const now = rows.querySelector(`[data-call="${Number(id)}"]`);
  if (now) now.replaceWith(row);
  else rows.prepend(row);
  /** @type {HTMLElement} */ (page.querySelector('[data-part=none]')).hidden = true;
}

function refreshLive() {
  for (const row of rows.querySelectorAll('[data-live]')) refresh(/** @type {HTMLElement} */ (row).dataset.call ?? '');
}

/** @param {HTMLAnchorElement} link */
async function showMore(link) {
  const next = await part(link.href);
  if (!next) return link.removeAttribute('data-part'); // the next press follows it
  const more = [...next.querySelectorAll('[data-part=rows] > tr')];
  for (const row of more) showLocalTimes(row);
  rows.append(...more);
  const further = next.querySelector('[data-part=more]');
  if (further) link.replaceWith(further);
  else link.remove();
  /** @type {HTMLElement|null} */ (more[0]?.querySelector('a'))?.focus();
  const status = /** @type {HTMLElement} */ (page.querySelector('[data-part=status]'));
  status.textContent = status.dataset.more ?? '';
}

/** Fetch a part of a page as elements; null when it cannot be had. @param {string} url */
async function part(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(15_000) });
    if (!response.ok || response.redirected) return null;
    const template = document.createElement('template');
    template.innerHTML = await response.text();
    return template.content;
  } catch {
    return null;
  }
}
