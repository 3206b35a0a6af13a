import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { PlayQueue } from '../../static/realtime_ui/js/worklets/playback.js';

const BUFFER = 10;
let reports;
let queue;
beforeEach(() => {
  reports = [];
  queue = new PlayQueue(BUFFER, 4, (report) => reports.push(report));
});

const sound = (length, value = 1) => new Float32Array(length).fill(value);

function pull(length) {
  const block = new Float32Array(length).fill(9);
  queue.pull(block);
  return [...block];
}

test('nothing is played before enough is there', () => {
  queue.push('a', sound(BUFFER - 1));
  assert.deepEqual(pull(2), [0, 0]);
  queue.push('a', sound(1));
  assert.deepEqual(pull(2), [1, 1]);
});

test('what is shorter than the buffer is played once it is whole', () => {
  queue.push('a', sound(3));
  queue.end('a');
  assert.deepEqual(pull(4), [1, 1, 1, 0]);
  assert.deepEqual(reports.at(-1), { id: 'a', frames: 3, isOver: true });
});

test('pieces follow one another without a gap, across blocks and ids', () => {
  queue.push('a', sound(BUFFER, 1));
  queue.push('a', sound(2, 2));
  queue.end('a');
  queue.push('b', sound(3, 3));
  queue.end('b');
  assert.deepEqual([...pull(5), ...pull(5), ...pull(6)], [...sound(BUFFER, 1), 2, 2, 3, 3, 3, 0]);
  assert.deepEqual(reports.filter((report) => report.isOver), [{ id: 'a', frames: 12, isOver: true }, { id: 'b', frames: 3, isOver: true }]);
});

test('a network that falls behind is waited for, and the count goes on', () => {
  queue.push('a', sound(BUFFER));
  pull(BUFFER + 2);
  queue.push('a', sound(1));
  assert.deepEqual(pull(1), [0]);
  queue.push('a', sound(BUFFER - 1));
  assert.deepEqual(pull(1), [1]);
  queue.end('a');
  pull(BUFFER);
  assert.deepEqual(reports.at(-1), { id: 'a', frames: 2 * BUFFER, isOver: true });
});

test('it tells of the first frame at once, and then now and again', () => {
  queue.push('a', sound(BUFFER));
  for (let block = 0; block < 5; block += 1) pull(2);
  assert.deepEqual(reports.map((report) => report.frames), [2, 6, 10]);
});

test('cleared, it is silent in the next block and begins anew', () => {
  queue.push('a', sound(2 * BUFFER));
  pull(2);
  queue.clear();
  assert.deepEqual(pull(3), [0, 0, 0]);
  queue.push('b', sound(BUFFER, 2));
  assert.deepEqual(pull(1), [2]);
  assert.deepEqual(reports.at(-1), { id: 'b', frames: 1, isOver: false });
});
