import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { CallError } from '../../static/realtime_ui/js/call_errors.js';
import { Call, FAREWELL_MS, SLOW_AFTER_MS } from '../../static/realtime_ui/js/call.js';
import { HEARTBEAT_MS } from '../../static/realtime_ui/js/call_reporter.js';
import { REPLY_WAIT_MS } from '../../static/realtime_ui/js/live_part.js';
import { MicrophoneError } from '../../static/realtime_ui/js/microphone_errors.js';

/** A promise that the test settles. */
function gate() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

/** The world around a call: every door is a gate, everything that happens is written down. */
function createWorld() {
  const world = { microphone: gate(), secret: gate(), transport: gate(), connection: gate(), freed: 0, closed: 0, sent: [], reports: [], muted: null, interrupts: 0, silences: 0 };
  const source = { stream: {}, free: () => (world.freed += 1) };
  world.source = source;
  world.link = {
    connect: (secret) => {
      world.usedSecret = secret;
      return world.connection.promise;
    },
    send: (event) => world.sent.push(event),
    mute: (muted) => (world.muted = muted),
    interrupt: () => (world.interrupts += 1),
    close: () => {
      world.closed += 1;
      world.listeners.onClose();
    },
  };
  world.call = new Call({
    openMicrophone: () => world.microphone.promise,
    openSilence: () => {
      world.silences += 1;
      return source;
    },
    issueClientSecret: (agent, signal) => {
      Object.assign(world, { agent, signal });
      return world.secret.promise;
    },
    createTransport: (listeners) => {
      world.listeners = listeners;
      return world.transport.promise;
    },
    report: (callId, report) => {
      world.reports.push([callId, report.type, report.reason]);
      return report.type === 'ended' ? world.farewell : world.told;
    },
    now: () => world.nowMs ?? 1000,
  });
  return world;
}

const settle = async () => {
  for (let turn = 0; turn < 12; turn += 1) await null;
};

/** Open the doors one by one as far as asked. */
async function openTo(world, state, how = {}) {
  world.started = world.call.start('guide', how);
  if (!how.typing) world.microphone.resolve(world.source);
  if (state === 'minting') return settle();
  world.secret.resolve({ ephemeralKey: 'ek_1', requestId: 'req_1' });
  world.transport.resolve(world.link);
  await settle();
  world.listeners.onCallId('rtc_1');
  if (state === 'connecting') return settle();
  world.connection.resolve();
  return settle();
}

let world;
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  world = createWorld();
});

test('nothing happens before Start', () => assert.deepEqual([world.call.state, world.agent], ['idle', undefined]));

test('it goes through its states in order', async () => {
  const states = [];
  world.call.addEventListener('change', () => states.push(world.call.state));
  await openTo(world, 'live');
  assert.deepEqual([...new Set(states)], ['preparing', 'minting', 'connecting', 'live']);
  assert.deepEqual([world.agent, world.usedSecret, world.call.callId], ['guide', 'ek_1', 'rtc_1']);
});

test('Start pressed twice makes one call', async () => {
  await openTo(world, 'live');
  const { secret } = world;
  await world.call.start('guide');
  assert.equal(world.secret, secret);
  assert.equal(world.reports.filter(([, type]) => type === 'connected').length, 1);
});

test('a refused microphone blocks and asks for no secret', async () => {
  world.call.start('guide');
  world.microphone.reject(new MicrophoneError('missing'));
  await settle();
  assert.deepEqual([world.call.state, world.call.problem, world.agent], ['blocked', 'missing', undefined]);
});

test('typing needs no microphone', async () => {
  await openTo(world, 'live', { typing: true });
  assert.deepEqual([world.call.state, world.silences], ['live', 1]);
});

test('a refused secret fails with its code and frees the microphone', async () => {
  await openTo(world, 'minting');
  world.secret.reject(new CallError({ code: 'quota_exceeded' }));
  await settle();
  assert.deepEqual([world.call.state, world.call.failure.code, world.freed], ['failed', 'quota_exceeded', 1]);
});

test('a refused connection fails, frees everything and is reported', async () => {
  await openTo(world, 'connecting');
  world.connection.reject(new CallError({ code: 'invalid_sdp' }));
  await settle();
  assert.deepEqual([world.call.state, world.freed, world.closed], ['failed', 1, 1]);
  assert.deepEqual(world.reports, [['rtc_1', 'failed', 'connection_lost']]);
});

test('Cancel while the browser asks: a microphone that comes later is freed at once', async () => {
  world.call.start('guide');
  world.call.cancel();
  world.microphone.resolve(world.source);
  await settle();
  assert.deepEqual([world.call.state, world.freed, world.agent], ['idle', 1, undefined]);
});

test('Cancel while minting stops the request and the microphone', async () => {
  await openTo(world, 'minting');
  world.call.cancel();
  assert.deepEqual([world.call.state, world.signal.aborted, world.freed], ['idle', true, 1]);
  world.secret.resolve({ ephemeralKey: 'ek_late' });
  await settle();
  assert.deepEqual([world.call.state, world.listeners], ['idle', undefined]);
});

test('Cancel while connecting ends the half-made call', async () => {
  await openTo(world, 'connecting');
  world.call.cancel();
  world.connection.reject(new Error('closed'));
  await settle();
  assert.deepEqual([world.call.state, world.freed, world.closed], ['idle', 1, 1]);
  assert.deepEqual(world.reports, [['rtc_1', 'ended', 'user']]);
});

test('a call that the server makes after Cancel is ended too', async () => {
  await openTo(world, 'minting');
  world.secret.resolve({ ephemeralKey: 'ek_1' });
  world.transport.resolve(world.link);
  await settle();
  world.call.cancel();
  world.listeners.onCallId('rtc_late');
  assert.deepEqual(world.reports, [['rtc_late', 'ended', 'user']]);
});

test('a call can be made anew after Cancel while the old one is still unwinding', async () => {
  await openTo(world, 'minting');
  const old = world.secret;
  world.call.cancel();
  Object.assign(world, { secret: gate(), microphone: gate() });
  await openTo(world, 'live');
  old.resolve({ ephemeralKey: 'ek_old' });
  await settle();
  assert.deepEqual([world.call.state, world.usedSecret, world.freed], ['live', 'ek_1', 1]);
});

test('End call frees everything and reports once', async () => {
  await openTo(world, 'live');
  world.call.hangUp();
  world.call.hangUp();
  assert.deepEqual([world.call.state, world.freed, world.closed], ['ended', 1, 1]);
  assert.deepEqual(world.reports, [['rtc_1', 'connected', undefined], ['rtc_1', 'ended', 'user']]);
});

test('the heart beats while the call lives and stops with it', async () => {
  await openTo(world, 'live');
  mock.timers.tick(HEARTBEAT_MS * 2);
  world.call.hangUp();
  mock.timers.tick(HEARTBEAT_MS * 3);
  assert.equal(world.reports.filter(([, type]) => type === 'heartbeat').length, 2);
});

test('leaving the page ends a live call', async () => {
  await openTo(world, 'live');
  world.call.leave();
  assert.deepEqual([world.reports.at(-1), world.call.state], [['rtc_1', 'ended', 'page_closed'], 'ended']);
});

test('leaving the page while connecting ends the half-made call', async () => {
  await openTo(world, 'connecting');
  world.call.leave();
  assert.deepEqual(world.reports.at(-1), ['rtc_1', 'ended', 'page_closed']);
});

test('a connection that closes before it is live does not go live', async () => {
  await openTo(world, 'connecting');
  world.listeners.onClose();
  world.connection.resolve();
  await settle();
  assert.deepEqual([world.call.state, world.call.failure.code, world.freed, world.closed], ['failed', 'webrtc_connection_failed', 1, 1]);
});

test('a connection that falters is told, and that it is back', async () => {
  await openTo(world, 'live');
  world.listeners.onUnstable(true);
  assert.equal(world.call.part, 'unstable');
  world.listeners.onUnstable(false);
  assert.equal(world.call.part, 'listening');
});

test('a microphone that goes away is told, but not over a reply', async () => {
  await openTo(world, 'live');
  world.source.onLost();
  assert.equal(world.call.part, 'unheard');
  world.listeners.onEvent({ type: 'output_audio_buffer.started' });
  assert.equal(world.call.part, 'speaking');
});

test('words that find the channel closed are not said to be sent', async () => {
  await openTo(world, 'live');
  world.link.send = () => {
    throw new Error('not connected');
  };
  assert.deepEqual([world.call.sendText('Hello'), world.call.part], [false, 'listening']);
});

test('stopping a reply over a closed channel is harmless', async () => {
  await openTo(world, 'live');
  world.listeners.onEvent({ type: 'response.created' });
  world.link.interrupt = () => {
    throw new Error('not connected');
  };
  assert.doesNotThrow(() => world.call.stopReply());
});

test('a lost connection fails, is reported and frees the microphone', async () => {
  await openTo(world, 'live');
  world.listeners.onClose();
  await settle();
  assert.deepEqual([world.call.state, world.call.failure.code, world.call.failure.requestId, world.freed], ['failed', 'connection_lost', 'req_1', 1]);
  assert.deepEqual(world.reports.at(-1), ['rtc_1', 'failed', 'connection_lost']);
});

test('an end by the server is told with its reason, not as a failure', async () => {
  await openTo(world, 'live');
  world.told = Promise.resolve('administrator');
  world.listeners.onClose();
  assert.deepEqual([world.call.state, world.freed], ['live', 1]);
  await settle();
  assert.deepEqual([world.call.state, world.call.endReason, world.call.failure], ['ended', 'administrator', null]);
});

test('a server that does not answer leaves it at a lost connection', async () => {
  await openTo(world, 'live');
  world.told = new Promise(() => {});
  world.listeners.onClose();
  await settle();
  assert.equal(world.call.state, 'live');
  mock.timers.tick(FAREWELL_MS);
  await settle();
  assert.equal(world.call.state, 'failed');
});

test('a reason that only a page gives is no explanation', async () => {
  await openTo(world, 'live');
  world.told = Promise.resolve('connection_lost');
  world.listeners.onClose();
  await settle();
  assert.equal(world.call.state, 'failed');
});

test('the longest time reached is an end, not a failure', async () => {
  await openTo(world, 'live');
  world.listeners.onEvent({ type: 'error', error: { code: 'session_expired' } });
  world.listeners.onClose();
  assert.deepEqual([world.call.state, world.call.endReason], ['ended', 'session_limit']);
});

test('mute reaches the transport and the headline', async () => {
  await openTo(world, 'live');
  world.call.mute(true);
  assert.deepEqual([world.muted, world.call.part], [true, 'muted']);
});

test('muting means nothing outside a live call or without a microphone', async () => {
  world.call.mute(true);
  await openTo(world, 'live', { typing: true });
  world.call.mute(true);
  assert.equal(world.call.muted, false);
});

test('typed text makes an item, then asks for a reply', async () => {
  await openTo(world, 'live');
  assert.equal(world.call.sendText('  Hello '), true);
  assert.deepEqual(world.sent.map((event) => event.type), ['conversation.item.create', 'response.create']);
  assert.equal(world.sent[0].item.content[0].text, 'Hello');
  assert.deepEqual([world.interrupts, world.call.part], [0, 'thinking']);
});

test('typed text stops a running reply first', async () => {
  await openTo(world, 'live');
  world.listeners.onEvent({ type: 'response.created' });
  world.call.sendText('Wait');
  assert.equal(world.interrupts, 1);
});

test('nothing is sent without a call or without words', async () => {
  assert.equal(world.call.sendText('Hello'), false);
  await openTo(world, 'live');
  assert.equal(world.call.sendText('   '), false);
  assert.deepEqual(world.sent, []);
});

test('Stop does nothing when there is no reply', async () => {
  await openTo(world, 'live');
  world.call.stopReply();
  assert.equal(world.interrupts, 0);
});

test('a reply that never comes lets go of Thinking', async () => {
  await openTo(world, 'live');
  world.listeners.onEvent({ type: 'input_audio_buffer.speech_stopped' });
  assert.equal(world.call.part, 'thinking');
  mock.timers.tick(REPLY_WAIT_MS);
  assert.equal(world.call.part, 'listening');
});

test('a slow connection is said to be slow', async () => {
  await openTo(world, 'connecting');
  mock.timers.tick(SLOW_AFTER_MS);
  assert.equal(world.call.slow, true);
});

test('events of a call that is over change nothing', async () => {
  await openTo(world, 'live');
  world.call.hangUp();
  world.listeners.onEvent({ type: 'response.created' });
  assert.equal(world.call.part, 'listening');
});

test('a second call waits until the server knows that the first has ended', async () => {
  const farewell = gate();
  world.farewell = farewell.promise;
  await openTo(world, 'live');
  world.call.hangUp();
  Object.assign(world, { microphone: gate(), secret: gate(), transport: gate(), connection: gate(), agent: undefined });
  await openTo(world, 'minting');
  assert.equal(world.agent, undefined);
  farewell.resolve();
  await settle();
  assert.equal(world.agent, 'guide');
});

test('a second call does not wait for ever', async () => {
  world.farewell = gate().promise;
  await openTo(world, 'live');
  world.call.hangUp();
  Object.assign(world, { microphone: gate(), secret: gate(), transport: gate(), connection: gate(), agent: undefined });
  await openTo(world, 'minting');
  mock.timers.tick(FAREWELL_MS);
  await settle();
  assert.equal(world.agent, 'guide');
});

test('a second call starts fresh', async () => {
  await openTo(world, 'live');
  world.call.mute(true);
  world.call.hangUp();
  Object.assign(world, { microphone: gate(), secret: gate(), transport: gate(), connection: gate() });
  await openTo(world, 'live');
  assert.deepEqual([world.call.state, world.call.muted, world.call.endReason], ['live', false, '']);
});
