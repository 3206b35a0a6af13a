import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { LEAD_MS, MARGIN_MS, Renewal } from '../../static/realtime_ui/js/renewal.js';

const HOUR_MS = 3_600_000;
const BEGAN_MS = 1_800_000_000_000;

let world;
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: BEGAN_MS });
  world = { due: 0, quiet: true };
});

/** A session of a call that may last so long. */
function begin(longestMs, lifeMs = HOUR_MS) {
  const renewal = new Renewal({ isQuiet: () => world.quiet, due: () => (world.due += 1), longestMs, now: Date.now });
  renewal.apply({ type: 'session.created', session: { expires_at: (BEGAN_MS + lifeMs) / 1000 } });
  return renewal;
}

test('it is due two minutes before the end of the session, once', () => {
  begin(2 * HOUR_MS);
  mock.timers.tick(HOUR_MS - LEAD_MS - 1);
  assert.equal(world.due, 0);
  mock.timers.tick(1);
  assert.equal(world.due, 1);
  mock.timers.tick(LEAD_MS);
  assert.equal(world.due, 1);
});

test('it waits until nobody speaks', () => {
  const renewal = begin(2 * HOUR_MS);
  world.quiet = false;
  mock.timers.tick(HOUR_MS - LEAD_MS + 5_000);
  renewal.look();
  assert.equal(world.due, 0);
  world.quiet = true;
  renewal.look();
  assert.equal(world.due, 1);
});

test('near the end it waits for nobody', () => {
  begin(2 * HOUR_MS);
  world.quiet = false;
  mock.timers.tick(HOUR_MS - MARGIN_MS);
  assert.equal(world.due, 1);
});

test('of a short session the times are shares', () => {
  begin(HOUR_MS, 20_000);
  mock.timers.tick(14_999);
  assert.equal(world.due, 0);
  mock.timers.tick(1);
  assert.equal(world.due, 1);
});

test('a call that ends before its session needs no other', () => {
  begin(HOUR_MS);
  mock.timers.tick(2 * HOUR_MS);
  assert.equal(world.due, 0);
});

test('a session that does not tell when it ends, or was left, is not followed', () => {
  begin(2 * HOUR_MS).reset();
  new Renewal({ isQuiet: () => true, due: () => (world.due += 1), longestMs: HOUR_MS, now: Date.now }).apply({
    type: 'session.created',
    session: {},
  });
  mock.timers.tick(2 * HOUR_MS);
  assert.equal(world.due, 0);
});
