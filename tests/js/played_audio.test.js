import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { PCM_RATE_HZ } from '../../static/realtime_ui/js/pcm.js';
import { PlayedAudio } from '../../static/realtime_ui/js/played_audio.js';

let told;
let done;
let heard;
beforeEach(() => {
  told = [];
  done = [];
  const player = { play: (id) => (done.push(`play ${id}`), PCM_RATE_HZ), end: (id) => done.push(`end ${id}`), clear: () => done.push('clear') };
  heard = new PlayedAudio(player, (event) => told.push(event));
});

const created = (id = 'resp_1') => heard.take({ type: 'response.created', response: { id } });
const finished = (id = 'resp_1') => heard.take({ type: 'response.done', response: { id } });
const part = (item, response) => ({ item_id: item, content_index: 0, response_id: response });
const delta = (item = 'item_1', response = 'resp_1') => heard.take({ type: 'response.output_audio.delta', ...part(item, response), delta: 'AAAA' });
const whole = (item = 'item_1', response = 'resp_1') => heard.take({ type: 'response.output_audio.done', ...part(item, response) });
const played = (playedMs, isOver = false, item = 'item_1') => heard.report({ id: `${item}:0`, playedMs, isOver });
const words = () => told.map((event) => event.type.replace('output_audio_buffer.', ''));

test('a reply starts when it is heard and stops when it was heard to its end, not when it is made', () => {
  created();
  delta();
  assert.deepEqual(words(), []);
  played(10);
  whole();
  finished();
  assert.deepEqual(words(), ['started']);
  played(1000, true);
  assert.deepEqual(words(), ['started', 'stopped']);
  assert.equal(told[1].response_id, 'resp_1');
});

test('a reply of two items is one sound', () => {
  created();
  delta();
  whole();
  delta('item_2');
  whole('item_2');
  finished();
  played(1000, true);
  played(20, false, 'item_2');
  assert.deepEqual(words(), ['started']);
  played(1000, true, 'item_2');
  assert.deepEqual(words(), ['started', 'stopped']);
});

test('a reply that pauses before it is made to its end has not stopped', () => {
  created();
  delta();
  whole();
  played(1000, true);
  assert.deepEqual(words(), ['started']);
  finished();
  assert.deepEqual(words(), ['started', 'stopped']);
});

test('a reply that broke off is played as far as it came', () => {
  created();
  delta();
  finished();
  assert.deepEqual(done, ['play item_1:0', 'end item_1:0']);
});

test('cut, it is silent at once and tells the server and the page what was heard', () => {
  created();
  delta();
  played(250.7);
  assert.deepEqual(heard.cut(), [{ type: 'conversation.item.truncate', item_id: 'item_1', content_index: 0, audio_end_ms: 250 }]);
  assert.equal(done.at(-1), 'clear');
  assert.deepEqual(told.slice(1).map(({ type, share = 0 }) => [type, Math.round(share * 100)]), [['local.heard', 25], ['output_audio_buffer.cleared', 0]]);
});

test('nothing of a reply that was cut is played any more, of the next one it is', () => {
  created();
  delta();
  played(10);
  heard.cut();
  delta();
  whole();
  finished();
  created('resp_2');
  delta('item_2', 'resp_2');
  assert.deepEqual(done, ['play item_1:0', 'clear', 'play item_2:0']);
});

test('what was not heard at all is not claimed, and neither is more than was sent', () => {
  created();
  delta();
  delta('item_2');
  played(1400);
  assert.deepEqual(heard.cut().map((event) => [event.item_id, event.audio_end_ms]), [['item_1', 1000]]);
});

test('what was heard to its end is not cut', () => {
  created();
  delta();
  whole();
  finished();
  played(1000, true);
  assert.deepEqual(heard.cut(), []);
  assert.deepEqual(words(), ['started', 'stopped']);
});

test('a report that comes after the cut is about nothing', () => {
  created();
  delta();
  heard.cut();
  played(30);
  assert.deepEqual(words(), ['local.heard', 'cleared']);
});

test('a reply is cancelled once', () => {
  assert.equal(heard.canCancel, false);
  created();
  assert.equal(heard.canCancel, true);
  heard.cut();
  assert.equal(heard.canCancel, false);
});
