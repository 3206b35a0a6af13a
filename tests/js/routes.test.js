import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Preferences } from '../../static/realtime_ui/js/preferences.js';
import { Routes } from '../../static/realtime_ui/js/routes.js';

let kept;
let preferences;
beforeEach(() => {
  kept = new Map();
  preferences = new Preferences(storage);
});

const storage = () => ({ getItem: (name) => kept.get(name) ?? null, setItem: (name, text) => kept.set(name, text) });
const routes = (about = {}) => new Routes(preferences, { standard: 'webrtc', hasWebRtc: true, ...about });
const way = (found) => [found.kind, found.why];

test('WebRTC comes first', () => assert.deepEqual(way(routes()), ['webrtc', '']));

test('the server may prefer WebSocket', () => assert.deepEqual(way(routes({ standard: 'websocket' })), ['websocket', '']));

test('what the person chose wins over the server and over what failed', () => {
  preferences.set('transport', 'websocket');
  assert.deepEqual(way(routes()), ['websocket', '']);
  preferences.set('transport', 'webrtc');
  const found = routes({ standard: 'websocket', hasWebRtc: false });
  assert.equal(found.fallBack('webrtc_connection_failed'), false);
  found.noteBroken();
  assert.deepEqual(way(found), ['webrtc', '']);
});

test('a browser without WebRTC goes by WebSocket and says why', () => assert.deepEqual(way(routes({ hasWebRtc: false })), ['websocket', 'missing']));

test('what could not be set up is not tried again on this page, and another failure changes nothing', () => {
  const found = routes();
  assert.equal(found.fallBack('quota_exceeded'), false);
  assert.equal(found.fallBack('webrtc_connection_failed'), true);
  assert.deepEqual(way(found), ['websocket', 'unreachable']);
  assert.equal(found.fallBack('webrtc_connection_failed'), false);
  assert.deepEqual(way(routes()), ['webrtc', '']);
});

test('what broke in the middle of a call is remembered, with a way back', () => {
  const found = routes();
  found.noteBroken();
  assert.deepEqual(way(found), ['websocket', 'broke']);
  found.settle(true);
  preferences = new Preferences(storage);
  const later = routes();
  assert.deepEqual(way(later), ['websocket', 'broke']);
  later.forget();
  assert.deepEqual(way(later), ['webrtc', '']);
});

test('when the other way fails too, it was not the fault of this one', () => {
  const found = routes();
  found.noteBroken();
  found.settle(false);
  assert.deepEqual([way(found), way(routes())], [['webrtc', ''], ['webrtc', '']]);
});

test('choosing anew is a way back, too', () => {
  const found = routes();
  found.noteBroken();
  preferences.set('transport', 'webrtc');
  preferences.set('transport', 'automatic');
  assert.deepEqual(way(found), ['webrtc', '']);
});

test('a WebSocket that breaks says nothing about WebRTC', () => {
  const found = routes({ standard: 'websocket' });
  found.noteBroken();
  assert.equal(preferences.get('webRtcBroke'), false);
});
