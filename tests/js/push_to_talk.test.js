import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { PushToTalk, SHORTEST_HOLD_MS } from '../../static/realtime_ui/js/push_to_talk.js';

const DETECTION = { type: 'server_vad', silence_duration_ms: 700 };
const session = (type, detection) => ({ type, session: { audio: { input: { turn_detection: detection } } } });

let talk, did, nowMs;
beforeEach(() => {
  did = [];
  nowMs = 1_000;
  talk = new PushToTalk({
    send: (event) => did.push(event.session ? event.session.audio.input.turn_detection : event.type),
    openMicrophone: (isOpen) => did.push(isOpen ? 'open' : 'shut'),
    stopReply: () => did.push('stop'),
    asked: () => did.push('asked'),
    now: () => nowMs,
  });
  talk.addEventListener('note', (event) => did.push(`note ${event.detail.key}`));
});

/** A session in which push to talk is granted; what led there is forgotten. */
function granted() {
  talk.want(true);
  talk.apply(session('session.created', DETECTION));
  talk.begin();
  talk.apply(session('session.updated', null));
  did.length = 0;
}

function hold(ms) {
  talk.press();
  nowMs += ms;
  talk.release();
}

test('item 30: the server is asked to stop looking for turns, and nobody is heard meanwhile', () => {
  talk.want(true);
  talk.apply(session('session.created', DETECTION));
  talk.begin();
  assert.deepEqual([did, talk.mode], [['shut', null], 'asked']);
  talk.press();
  assert.equal(talk.mode, 'asked');
  talk.apply(session('session.updated', null));
  assert.equal(talk.mode, 'ready');
});

test('item 30: off by default, and then nothing is asked', () => {
  talk.apply(session('session.created', DETECTION));
  talk.begin();
  assert.deepEqual([did, talk.mode], [['open'], 'off']);
});

test('item 30: a press clears, stops the reply and opens; letting go commits and asks for a reply', () => {
  granted();
  hold(1_000);
  assert.deepEqual(did, ['input_audio_buffer.clear', 'stop', 'open', 'shut', 'input_audio_buffer.commit', 'response.create', 'asked']);
});

test('item 30: a hold that is too short is no turn and says why', () => {
  granted();
  hold(SHORTEST_HOLD_MS - 1);
  assert.deepEqual(did, ['input_audio_buffer.clear', 'stop', 'open', 'shut', 'note hold_longer']);
});

test('item 30: letting go twice sends one turn', () => {
  granted();
  hold(1_000);
  did.length = 0;
  talk.release();
  assert.deepEqual(did, []);
});

test('item 30: switching it off gives the server its own turn detection back', () => {
  granted();
  talk.want(false);
  assert.deepEqual([did, talk.mode], [[DETECTION], 'ready']);
  talk.apply(session('session.updated', DETECTION));
  assert.deepEqual([did.at(-1), talk.mode], ['open', 'off']);
});

test('item 30: a server that goes on looking for turns is believed, and the person is told', () => {
  talk.want(true);
  talk.begin();
  talk.apply(session('session.updated', DETECTION));
  assert.deepEqual([talk.mode, did.at(-1)], ['off', 'note push_to_talk_refused']);
});

test('item 30: an assistant that looks for no turns needs it, wanted or not', () => {
  talk.apply(session('session.created', null));
  talk.begin();
  assert.equal(talk.mode, 'ready');
  talk.want(true);
  talk.want(false);
  assert.deepEqual([talk.mode, did.at(-1)], ['ready', 'note push_to_talk_only']);
});

test('item 30: another session begins anew', () => {
  granted();
  talk.reset();
  assert.equal(talk.mode, 'off');
  talk.begin();
  assert.deepEqual(did.slice(-2), ['shut', null]);
});

test('item 30: an update of the session in the middle of a turn does not end it', () => {
  granted();
  talk.press();
  talk.apply(session('session.updated', null));
  talk.apply({ type: 'session.updated', session: {} });
  assert.equal(talk.mode, 'holding');
});
