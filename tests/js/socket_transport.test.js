import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { createSocketTransport, LOOK_EVERY_MS, SILENT_LOOKS } from '../../static/realtime_ui/js/socket_transport.js';

class FakeNode {
  port = {};
  connect() {}
}

class FakeContext extends EventTarget {
  state = 'running';
  sampleRate = 48_000;
  audioWorklet = { addModule: async () => undefined };
  createMediaStreamDestination = () => ({ stream: {} });
  async close() {
    this.state = 'closed';
  }
}

/** A socket whose other side the test plays. */
class FakeSocket {
  static OPEN = 1;
  readyState = FakeSocket.OPEN;
  bufferedAmount = 0;
  closedWith = 0;
  hears = new EventTarget();
  addEventListener(...told) {
    this.hears.addEventListener(...told);
  }
  say(event) {
    this.hears.dispatchEvent(new Event('message'));
    this.onmessage({ data: JSON.stringify(event) });
  }
  close(code) {
    this.closedWith = code;
    this.readyState = 3;
  }
}

const FAKES = { AudioContext: FakeContext, AudioWorkletNode: FakeNode };
const world = {};
const real = {};

beforeEach(async () => {
  for (const [name, fake] of Object.entries({ ...FAKES, WebSocket: class extends FakeSocket { constructor() { super(); world.socket = this; } } })) {
    real[name] = globalThis[name];
    globalThis[name] = fake;
  }
  mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  Object.assign(world, { closes: 0, events: [] });
  const track = { enabled: true };
  world.transport = createSocketTransport({ socketUrl: 'ws://here/', captureUrl: '', playbackUrl: '' }, {
    mediaStream: { getAudioTracks: () => [track] }, sendsSound: false, audioElement: new EventTarget(), continues: '',
    onCallId: (id) => (world.callId = id), onEvent: ({ type }) => world.events.push(type), onSent: () => {}, onUnstable: () => {},
    onClose: () => (world.closes += 1),
  });
  const connecting = world.transport.connect('ek_1');
  world.socket.say({ type: 'session.created', session: { id: 'sess_1' } });
  await connecting;
});

afterEach(() => {
  world.transport.close();
  mock.timers.reset();
  Object.assign(globalThis, real);
});

const looks = (count) => mock.timers.tick(count * LOOK_EVERY_MS);

test('item 51: a socket that says nothing for three looks is lost', () => {
  looks(SILENT_LOOKS - 1);
  assert.deepEqual([world.closes, world.socket.closedWith], [0, 0]);
  looks(1);
  assert.deepEqual([world.closes, world.socket.closedWith], [1, 1000]);
});

test('item 51: a quiet call whose server says that it is there goes on', () => {
  for (let minute = 0; minute < 60; minute += 1) {
    looks(SILENT_LOOKS - 1);
    world.socket.say({ type: 'relay.alive' });
  }
  assert.deepEqual([world.closes, world.events, world.callId], [0, ['session.created'], 'sess_1']);
});

test('item 51: whatever else is said counts as well', () => {
  looks(SILENT_LOOKS - 1);
  world.socket.say({ type: 'response.created' });
  looks(SILENT_LOOKS - 1);
  assert.equal(world.closes, 0);
});

test('a call that is over is looked at no more', () => {
  world.transport.close();
  looks(10 * SILENT_LOOKS);
  assert.equal(world.closes, 0);
});
