import assert from 'node:assert/strict';
import { test } from 'node:test';

import { leftWords } from '../../static/realtime_ui/js/allowance.js';

const words = (key, values = {}) => [key, ...Object.values(values)].join(' ');
const allowed = (limit, left) => ({ limit, left, used: limit - left });

const ROWS = [
  ['nothing is known', null, ''],
  ['there is no limit', { secondsADay: { limit: null, used: 5, left: null } }, ''],
  ['a fifth is left', { secondsADay: allowed(1000, 200) }, ''],
  ['less than a fifth is left', { secondsADay: allowed(3600, 400) }, 'left_minutes_a_day 6'],
  ['a minute and some are left', { secondsADay: allowed(3600, 119) }, 'left_minutes_a_day_one 1'],
  ['seconds are left', { secondsAMonth: allowed(3600, 59) }, 'left_minutes_a_month_last'],
  ['money is nearly spent', { microdollarsADay: allowed(5_000_000, 409_999) }, 'left_money_a_day $0.40'],
  ['two are little', { secondsADay: allowed(1000, 150), microdollarsAMonth: allowed(1_000_000, 90_000) }, 'left_money_a_month $0.09'],
  ['another thing is used up', { secretsADay: allowed(10, 0) }, ''],
];

for (const [when, usage, expected] of ROWS) {
  test(`when ${when}`, () => assert.equal(leftWords(usage, words), expected));
}
