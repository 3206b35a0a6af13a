// @ts-check
import assert from 'node:assert/strict';
import test from 'node:test';

import { loadSdk } from '../../static/realtime_ui/js/sdk.js';

test('a try after a failure asks another address, and the one that worked is kept', async () => {
  /** @type {string[]} */
  const asked = [];
  let offline = true;
  const load = async (/** @type {string} */ url) => {
    asked.push(url);
    if (offline) throw new TypeError('Failed to fetch dynamically imported module');
    return 'sdk';
  };

  await assert.rejects(loadSdk('/sdk.js', load), TypeError);
  await assert.rejects(loadSdk('/sdk.js', load), TypeError);
  offline = false;

  assert.equal(await loadSdk('/sdk.js', load), 'sdk');
  assert.equal(await loadSdk('/sdk.js', load), 'sdk');
  assert.deepEqual(asked, ['/sdk.js', '/sdk.js?again=1', '/sdk.js?again=2', '/sdk.js?again=2']);
});
