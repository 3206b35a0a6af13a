import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { WakeLock } from '../../static/realtime_ui/js/wake_lock.js';

let page, locks, screen, wakeLock;
beforeEach(() => {
  page = Object.assign(new EventTarget(), { hidden: false });
  locks = [];
  screen = {
    request: async () => {
      const lock = { released: false, release: async () => (lock.released = true) };
      locks.push(lock);
      return lock;
    },
  };
  wakeLock = new WakeLock(screen, page);
});

const settle = () => new Promise((resolve) => setTimeout(resolve));
const held = () => locks.filter((lock) => !lock.released).length;

async function turnTo(hidden) {
  page.hidden = hidden;
  if (hidden) for (const lock of locks) lock.released = true; // browsers take it away
  page.dispatchEvent(new Event('visibilitychange'));
  await settle();
}

test('item 68: the screen stays on from the start of a call to its end', async () => {
  wakeLock.want(true);
  wakeLock.want(true);
  await settle();
  assert.deepEqual([locks.length, held()], [1, 1]);
  wakeLock.want(false);
  await settle();
  assert.equal(held(), 0);
});

test('item 68: it is asked for again after a return, and only during a call', async () => {
  wakeLock.want(true);
  await settle();
  await turnTo(true);
  await turnTo(false);
  assert.deepEqual([locks.length, held()], [2, 1]);
  wakeLock.want(false);
  await turnTo(false);
  assert.equal(held(), 0);
});

test('item 68: a refusal is ignored, and a later try may succeed', async () => {
  const { request } = screen;
  screen.request = () => Promise.reject(new DOMException('', 'NotAllowedError'));
  wakeLock.want(true);
  await settle();
  screen.request = request;
  await turnTo(false);
  assert.equal(held(), 1);
});

test('item 68: a call that ends while it is asked for leaves no lock', async () => {
  wakeLock.want(true);
  wakeLock.want(false);
  await settle();
  assert.deepEqual([locks.length, held()], [1, 0]);
});

test('item 68: browsers without it go on', async () => {
  const without = new WakeLock(undefined, page);
  without.screen = undefined;
  without.want(true);
  await settle();
  without.want(false);
});
