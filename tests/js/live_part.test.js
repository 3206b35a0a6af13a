import assert from 'node:assert/strict';
import { test } from 'node:test';

import { canStopReply, livePart, nextActivity, QUIET, toolName } from '../../static/realtime_ui/js/live_part.js';

const after = (...events) => events.reduce((activity, event) => nextActivity(activity, typeof event === 'string' ? { type: event } : event), QUIET);
const partAfter = (...events) => livePart(after(...events), false);
const CALL_DONE = { type: 'response.done', response: { status: 'completed', output: [{ id: 'i', type: 'function_call' }] } };

test('nothing heard is listening', () => assert.equal(partAfter(), 'listening'));
test('speech is hearing', () => assert.equal(partAfter('input_audio_buffer.speech_started'), 'hearing'));
test('the end of speech is thinking', () =>
  assert.equal(partAfter('input_audio_buffer.speech_started', 'input_audio_buffer.speech_stopped'), 'thinking'));
test('a reply in the making is thinking', () => assert.equal(partAfter('response.created'), 'thinking'));
test('sound is speaking', () => assert.equal(partAfter('response.created', 'output_audio_buffer.started'), 'speaking'));
test('sound goes on after the reply is made', () =>
  assert.equal(partAfter('response.created', 'output_audio_buffer.started', 'response.done'), 'speaking'));
test('the end of sound is listening', () =>
  assert.equal(partAfter('response.created', 'output_audio_buffer.started', 'response.done', 'output_audio_buffer.stopped'), 'listening'));
test('cleared sound is listening', () =>
  assert.equal(partAfter('response.created', 'output_audio_buffer.started', 'response.done', 'output_audio_buffer.cleared'), 'listening'));
test('speaking over a reply is hearing', () =>
  assert.equal(partAfter('response.created', 'output_audio_buffer.started', 'input_audio_buffer.speech_started'), 'hearing'));
test('muted wins over everything', () => assert.equal(livePart(after('input_audio_buffer.speech_started'), true), 'muted'));
test('a reply that never comes ends in listening', () =>
  assert.equal(partAfter('input_audio_buffer.speech_stopped', 'local.wait_expired'), 'listening'));
test('a typed question is thinking at once', () => assert.equal(partAfter('local.asked'), 'thinking'));
test('a response that ends in a tool call is still thinking', () => assert.equal(partAfter('response.created', CALL_DONE), 'thinking'));

test('the tool at work is named until the reply is heard', () => {
  const call = { type: 'response.function_call_arguments.done', name: 'find_book' };
  assert.equal(after('response.created', call, CALL_DONE).tool, 'find book');
  assert.equal(after('response.created', call, CALL_DONE, 'response.created', 'output_audio_buffer.started').tool, '');
});

test('there is a reply to stop while it is made or heard', () => {
  assert.equal(canStopReply(after('response.created')), true);
  assert.equal(canStopReply(after('output_audio_buffer.started')), true);
  assert.equal(canStopReply(after('response.created', 'response.done')), false);
});

test('events of other kinds keep the very same object', () => {
  for (const type of ['session.updated', 'response.output_audio_transcript.delta', 'constructor']) assert.equal(nextActivity(QUIET, { type }), QUIET);
});

test('a function name becomes words', () => assert.equal(toolName('opening_hours-today'), 'opening hours today'));
