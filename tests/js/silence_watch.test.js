import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SilenceWatch, UNHEARD_AFTER_MS } from '../../static/realtime_ui/js/silence_watch.js';

/** Take levels half a second apart; returns what was said of each. */
function watch(levels, isListening = () => true) {
  const silence = new SilenceWatch();
  return levels.map((level, index) => silence.note(level, isListening(index), 1_000 + index * 500));
}

const steps = UNHEARD_AFTER_MS / 500;
const repeated = (level, count) => Array.from({ length: count }, () => level);

test('item 24: five seconds of silence are told, and not a moment less', () => {
  assert.deepEqual(watch(repeated(0, steps + 1)).slice(-2), [false, true]);
});

test('item 24: a sound takes the hint back', () => assert.equal(watch([...repeated(0, steps + 1), 0.02]).at(-1), false));

test('item 24: who was heard may pause as long as they like', () => {
  assert.equal(watch([0.2, ...repeated(0.0004, 40)]).at(-1), false);
});

test('item 24: a microphone that is switched off at itself is told even then', () => {
  assert.equal(watch([0.2, ...repeated(0, steps + 1)]).at(-1), true);
});

test('item 24: nobody is expected to speak while the assistant does', () => {
  assert.equal(watch(repeated(0, 40), (index) => index < 3).at(-1), false);
});

test('item 24: another microphone begins anew', () => {
  const silence = new SilenceWatch();
  silence.note(0.2, true, 1_000);
  silence.forget();
  silence.note(0.0004, true, 2_000);
  assert.equal(silence.note(0.0004, true, 2_000 + UNHEARD_AFTER_MS), true);
});
