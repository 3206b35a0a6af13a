import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { LimitNotes } from '../../static/realtime_ui/js/limit_notes.js';

let notes;
let told;
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  notes = new LimitNotes();
  told = [];
  notes.addEventListener('note', ({ detail }) => told.push(detail.key === 'ends_soon_one' ? 1 : detail.values.n));
});

const pass = (seconds) => mock.timers.tick(seconds * 1000);

test('item 48: from five minutes before the end on it is said each minute', () => {
  notes.take(3600);
  pass(3299);
  assert.deepEqual(told, []);
  pass(1);
  assert.deepEqual(told, [5]);
  for (let minute = 0; minute < 5; minute += 1) pass(60);
  assert.deepEqual(told, [5, 4, 3, 2, 1]);
});

test('being told again how long is left says nothing twice', () => {
  notes.take(301);
  pass(1);
  for (const left of [300, 299.6, 285]) notes.take(left);
  pass(45);
  assert.deepEqual(told, [5, 4]);
});

test('a call that is short from the beginning is told what is left of it', () => {
  notes.take(130);
  pass(10);
  assert.deepEqual(told, [2]);
});

test('less than a minute, no limit and another call say nothing', () => {
  notes.take(59);
  notes.take(null);
  notes.take(70);
  notes.reset();
  pass(600);
  assert.deepEqual(told, []);
});
