import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ASK_AFTER_MS, CallFacts } from '../../static/realtime_ui/js/call_facts.js';
import { costWords, delayWords } from '../../static/realtime_ui/js/call_figures.js';
import { gradeOf, ReplyDelay } from '../../static/realtime_ui/js/reply_delay.js';

const words = (key, values = {}) => [key, ...Object.values(values)].join(' ');
const FACTS = { costMicrodollars: null, isFree: false, assistantMuted: false };

/** Take events at their times in milliseconds. */
function delayOf(...events) {
  let atMs = 0;
  const delay = new ReplyDelay(() => atMs);
  for (const [ms, type] of events) {
    atMs = ms;
    delay.take({ type });
  }
  return delay;
}

const STOPPED = 'input_audio_buffer.speech_stopped';
const HEARD = 'output_audio_buffer.started';

test('item 45: a reply is waited for from the end of the speech, or from what was typed, to its first sound', () => {
  assert.equal(delayOf([100, STOPPED], [900, HEARD]).lastMs, 800);
  assert.equal(delayOf([100, 'local.asked'], [400, HEARD], [700, HEARD]).lastMs, 300);
});

test('item 45: who speaks on was not waiting yet', () => {
  assert.equal(delayOf([100, STOPPED], [200, 'input_audio_buffer.speech_started'], [900, HEARD]).lastMs, null);
});

test('item 45: the last and the median are told, in words by their length', () => {
  const delay = delayOf([0, STOPPED], [500, HEARD], [1000, STOPPED], [2000, HEARD], [3000, STOPPED], [5600, HEARD]);
  assert.deepEqual([delay.lastMs, delay.medianMs], [2600, 1000]);
  assert.equal(delayWords(delay, words), 'reply_delays 2.6 1.0 delay_slow');
  assert.equal(delayOf([0, STOPPED], [500, HEARD], [1000, STOPPED], [2000, HEARD]).medianMs, 750);
  assert.deepEqual([0, 799, 800, 1499, 1500].map(gradeOf), ['good', 'good', 'fair', 'fair', 'slow']);
  assert.equal(delayWords(delayOf(), words), '');
});

test('item 46: the cost is told in cents, free when it is, and not at all while it is not known', () => {
  const cost = (facts) => costWords({ ...FACTS, ...facts }, words);
  assert.deepEqual(
    [cost({}), cost({ costMicrodollars: 0, isFree: true }), cost({ costMicrodollars: 38_900 }), cost({ costMicrodollars: 4_999 })],
    ['', 'cost_free', 'cost_about $0.04', 'cost_under_a_cent'],
  );
});

test('item 46: the server is asked once, soon after each response and each change of the session', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let asked = 0;
  const facts = new CallFacts(() => (asked += 1));
  facts.note({ type: 'response.output_text.delta' });
  facts.note({ type: 'response.done' });
  context.mock.timers.tick(ASK_AFTER_MS['response.done'] - 1);
  assert.equal(asked, 0);
  context.mock.timers.tick(1);
  assert.equal(asked, 1);
  facts.note({ type: 'session.updated' });
  facts.stop();
  context.mock.timers.tick(60_000);
  assert.equal(asked, 1);
});

test('item 37: that an administrator muted the assistant is told once, and that it may speak again', () => {
  const facts = new CallFacts(() => {});
  const told = [];
  for (const type of ['muted', 'unmuted']) facts.addEventListener(type, () => told.push(type));
  for (const assistantMuted of [false, true, true, false]) facts.take({ ...FACTS, assistantMuted });
  assert.deepEqual(told, ['muted', 'unmuted']);
});
