// @ts-check
// The figures of a call in words: how long replies take, and what the call costs.
// Reads `[data-part=cost]` and `[data-part=reply-delay]`, whose `data-grade` is for style sheets.

import { gradeOf } from './reply_delay.js';

/** @typedef {import('./words.js').Words} Words */
/** @typedef {import('./call_facts.js').Facts} Facts */

const MICRODOLLARS_A_CENT = 10_000;

/** @param {ParentNode} root @param {Words} words @param {Facts} facts */
export function showCost(root, words, facts) {
  /** @type {HTMLElement} */ (root.querySelector('[data-part=cost]')).textContent = costWords(facts, words);
}

/** @param {ParentNode} root @param {Words} words @param {import('./reply_delay.js').ReplyDelay} delay */
export function showDelay(root, words, delay) {
  const place = /** @type {HTMLElement} */ (root.querySelector('[data-part=reply-delay]'));
  place.textContent = delayWords(delay, words);
  place.dataset.grade = delay.lastMs === null ? '' : gradeOf(delay.lastMs);
}

/** What a call costs so far; empty where that is not known. @param {Facts} facts @param {Words} words */
export function costWords({ costMicrodollars, isFree }, words) {
  if (isFree) return words('cost_free');
  if (costMicrodollars === null) return '';
  const cents = Math.round(costMicrodollars / MICRODOLLARS_A_CENT);
  return cents ? words('cost_about', { amount: `$${(cents / 100).toFixed(2)}` }) : words('cost_under_a_cent');
}

/** @param {Pick<import('./reply_delay.js').ReplyDelay, 'lastMs'|'medianMs'|'delays'>} delay @param {Words} words */
export function delayWords({ lastMs, medianMs, delays }, words) {
  if (lastMs === null || medianMs === null) return '';
  const values = { last: seconds(lastMs), median: seconds(medianMs), grade: words(`delay_${gradeOf(lastMs)}`) };
  return words(delays.length > 1 ? 'reply_delays' : 'reply_delay', values);
}

/** @param {number} ms */
function seconds(ms) {
  return (ms / 1000).toFixed(1);
}
