// @ts-check
// What one has left, in words, once it is little. Knows no document.

/** @typedef {import('./words.js').Words} Words */
/** @typedef {{limit: number|null, used: number|null, left: number|null}} Standing one allowance as `/api/usage` tells it */

/** Below this share of an allowance the page tells what is left. */
const LITTLE = 0.2;
const MICRODOLLARS_A_CENT = 10_000;
const SECONDS_A_MINUTE = 60;

/** The allowances that a call uses, by their names at `/api/usage`, and the words for each. */
const COUNTED = Object.freeze({
  secondsADay: 'left_minutes_a_day',
  secondsAMonth: 'left_minutes_a_month',
  microdollarsADay: 'left_money_a_day',
  microdollarsAMonth: 'left_money_a_month',
});

/**
 * Return what is left of the allowance that is nearest its end; empty while there is enough of all.
 * @param {Readonly<Record<string, any>>|null} usage the answer of `/api/usage`
 * @param {Words} words
 */
export function leftWords(usage, words) {
  const little = Object.keys(COUNTED)
    .map((name) => ({ name, share: shareOf(usage?.[name]) }))
    .filter(({ share }) => share < LITTLE)
    .sort((one, other) => one.share - other.share)[0];
  if (!little || !usage) return '';
  const left = usage[little.name].left;
  const key = COUNTED[/** @type {keyof typeof COUNTED} */ (little.name)];
  if (little.name.startsWith('microdollars')) return words(key, { amount: dollars(left) });
  const minutes = Math.floor(left / SECONDS_A_MINUTE);
  return minutes < 1 ? words(`${key}_last`) : words(minutes === 1 ? `${key}_one` : key, { n: minutes });
}

/** @param {Standing|undefined} standing */
function shareOf(standing) {
  return standing?.limit && standing.left !== null ? standing.left / standing.limit : 1;
}

/** Rounded down: nobody is promised more than there is. @param {number} microdollars */
function dollars(microdollars) {
  return `$${(Math.floor(microdollars / MICRODOLLARS_A_CENT) / 100).toFixed(2)}`;
}
