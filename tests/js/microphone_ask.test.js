import assert from 'node:assert/strict';
import { test } from 'node:test';

import { watchPermission } from '../../static/realtime_ui/js/microphone_ask.js';

test('item 21: a permission that changes is told', async () => {
  const status = Object.assign(new EventTarget(), { state: 'denied' });
  const told = [];
  await watchPermission((isAllowed) => told.push(isAllowed), { query: async () => status });
  assert.deepEqual(told, []);
  for (const state of ['granted', 'denied']) {
    status.state = state;
    status.dispatchEvent(new Event('change'));
  }
  assert.deepEqual(told, [true, false]);
});

test('item 21: a browser that cannot say never tells', async () => {
  await watchPermission(assert.fail, { query: () => Promise.reject(new TypeError('microphone')) });
  await watchPermission(assert.fail, null);
});
