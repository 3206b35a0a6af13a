import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { CallError } from '../../static/realtime_ui/js/call_errors.js';
import { Call, FAREWELL_MS, SLOW_AFTER_MS } from '../../static/realtime_ui/js/call.js';
import { HEARTBEAT_MS } from '../../static/realtime_ui/js/call_reporter.js';
import { REPLY_WAIT_MS } from '../../static/realtime_ui/js/live_part.js';
import { RECONNECT_DELAYS_MS, STABLE_MS } from '../../static/realtime_ui/js/reconnection.js';
import { MicrophoneError } from '../../static/realtime_ui/js/microphone_errors.js';

/** A promise that the test settles. */
function gate() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

/** The world around a call: every door is a gate, everything that happens is written down. */
function createWorld() {
  const world = { microphone: gate(), secret: gate(), transport: gate(), connection: gate(), freed: 0, closed: 0, sent: [], reports: [], muted: null, interrupts: 0, silences: 0, isOnline: true, secretsAsked: 0, continued: [], broken: 0, settled: [], earlier: [] };
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
    replaceTrack: (track) => (world.track = track),
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
      world.secretsAsked += 1;
      Object.assign(world, { agent, signal });
      return world.secret.promise;
    },
    createTransport: (listeners) => {
      if (listeners.continues) world.continued.push(listeners.continues);
      world.listeners = listeners;
      return world.transport.promise;
    },
    report: (callId, report) => {
      world.reports.push([callId, report.type, report.reason]);
      return report.type === 'ended' ? world.farewell : world.told;
    },
    network: { isOnline: () => world.isOnline, onOnline: (listener) => (world.goOnline = listener) },
    routes: { fallBack: (code) => code === world.fallsBackOn, noteBroken: () => (world.broken += 1), settle: (isConnected) => world.settled.push(isConnected) },
    earlierTurns: () => world.earlier,
    longestMs: 7_200_000,
    now: () => world.nowMs ?? 1000,
  });
  return world;
}

const settle = async () => {
  for (let turn = 0; turn < 40; turn += 1) await null;
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

test('item 25: another microphone is as mute as the one before, and not lost', async () => {
  await openTo(world, 'live');
  world.source.onLost();
  assert.equal(world.call.part, 'unheard');
  world.call.mute(true);
  const track = { enabled: true };
  world.call.replaceTrack(track);
  assert.deepEqual([world.track, track.enabled, world.call.microphoneLost], [track, false, false]);
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

/** Lose the connection of a live call, and let the server say what it knows of it. */
async function lose(told = 'connection_lost') {
  world.told = told instanceof Promise ? told : Promise.resolve(told);
  world.secret = gate();
  world.connection = gate();
  world.listeners.onClose();
  await settle();
}

/** Let the next try happen, up to the secret. */
async function nextTry(index) {
  mock.timers.tick(RECONNECT_DELAYS_MS[index]);
  await settle();
}

/** Answer a try that is under way. */
async function answer(callId = 'rtc_2') {
  world.secret.resolve({ ephemeralKey: 'ek_2', requestId: 'req_2' });
  await settle();
  world.listeners.onCallId(callId);
  world.connection.resolve();
  await settle();
}

async function refuse(code) {
  const { secret } = world;
  world.secret = gate();
  secret.reject(new CallError({ code }));
  await settle();
}

test('a lost connection goes on with the agent that had the call by then', async () => {
  await openTo(world, 'live');
  world.call.agent = 'billing';
  await lose();
  await nextTry(0);
  assert.equal(world.agent, 'billing');
});

test('item 51: a lost connection is reported, and the call goes on in another one with the same microphone', async () => {
  await openTo(world, 'live');
  await lose();
  assert.deepEqual([world.call.state, world.call.reconnection.attempt, world.freed, world.secretsAsked], ['reconnecting', 1, 0, 1]);
  assert.deepEqual(world.reports.at(-1), ['rtc_1', 'failed', 'connection_lost']);
  await nextTry(0);
  assert.equal(world.secretsAsked, 2);
  await answer();
  assert.deepEqual([world.call.state, world.call.part, world.usedSecret, world.call.callId, world.freed], ['live', 'listening', 'ek_2', 'rtc_2', 0]);
  assert.deepEqual([world.continued, world.call.reconnection.attempt], [['rtc_1'], 0]);
});

test('item 51: a loss that the server saw first, as an end by the voice service, is a loss', async () => {
  await openTo(world, 'live');
  await lose('upstream_ended');
  assert.equal(world.call.state, 'reconnecting');
});

test('item 51: it is tried after one, two and four seconds, each time with a fresh secret, and then no more', async () => {
  await openTo(world, 'live');
  await lose();
  for (const [index, delayMs] of RECONNECT_DELAYS_MS.entries()) {
    mock.timers.tick(delayMs - 1);
    await settle();
    assert.deepEqual([world.secretsAsked, world.call.reconnection.attempt], [index + 1, index + 1]);
    mock.timers.tick(1);
    await settle();
    assert.equal(world.secretsAsked, index + 2);
    await refuse('openai_api_unavailable');
  }
  assert.deepEqual([world.call.state, world.call.failure.code, world.call.failure.requestId, world.freed], ['failed', 'connection_lost', '', 1]);
});

test('item 51: a connection that held for long begins its tries anew, one that did not goes on counting', async () => {
  await openTo(world, 'live');
  await lose();
  await nextTry(0);
  await answer();
  await lose();
  assert.equal(world.call.reconnection.attempt, 2);
  await nextTry(1);
  await answer('rtc_3');
  world.nowMs = 1000 + STABLE_MS;
  await lose();
  assert.equal(world.call.reconnection.attempt, 1);
});

test('Try now waits no longer', async () => {
  await openTo(world, 'live');
  await lose();
  world.call.reconnection.tryNow();
  await settle();
  assert.equal(world.secretsAsked, 2);
});

test('End call while it is tried ends everything', async () => {
  await openTo(world, 'live');
  await lose();
  world.call.hangUp();
  assert.deepEqual([world.call.state, world.call.endReason, world.freed], ['ended', 'user', 1]);
  mock.timers.tick(10_000);
  await settle();
  assert.equal(world.secretsAsked, 1);
});

test('End call while a try is under way ends what the server makes of it', async () => {
  await openTo(world, 'live');
  await lose();
  await nextTry(0);
  world.secret.resolve({ ephemeralKey: 'ek_2' });
  await settle();
  world.call.hangUp();
  world.listeners.onCallId('rtc_2');
  assert.deepEqual([world.reports.at(-1), world.call.state], [['rtc_2', 'ended', 'user'], 'ended']);
});

test('a refusal that cannot pass by itself is told at once', async () => {
  await openTo(world, 'live');
  await lose();
  await nextTry(0);
  await refuse('quota_exceeded');
  assert.deepEqual([world.call.state, world.call.failure.code, world.freed], ['failed', 'quota_exceeded', 1]);
});

test('item 52: while there is no network nothing is tried nor counted', async () => {
  await openTo(world, 'live');
  world.isOnline = false;
  await lose('');
  mock.timers.tick(60_000);
  await settle();
  assert.deepEqual([world.call.reconnection.isOffline, world.secretsAsked], [true, 1]);
  world.isOnline = true;
  world.goOnline();
  await settle();
  assert.deepEqual([world.call.reconnection.isOffline, world.call.reconnection.attempt], [false, 1]);
  await nextTry(0);
  assert.equal(world.secretsAsked, 2);
});

test('a server that did not hear of the end is told again before the next call', async () => {
  await openTo(world, 'live');
  await lose('');
  world.told = Promise.resolve('connection_lost');
  await nextTry(0);
  assert.equal(world.reports.filter(([id, type]) => id === 'rtc_1' && type === 'failed').length, 2);
});

test('a session that ends soon is followed by another call with the same microphone', async () => {
  world.link.kind = 'webrtc';
  world.earlier = [{ type: 'conversation.item.create' }];
  await openTo(world, 'live');
  world.listeners.onEvent({ type: 'session.created', session: { expires_at: 21 } });
  world.nowMs = 16_000;
  world.listeners.onEvent({ type: 'input_audio_buffer.speech_started', item_id: 'item_1' });
  assert.equal(world.call.state, 'live');
  world.listeners.onEvent({ type: 'input_audio_buffer.speech_stopped', item_id: 'item_1' });
  world.listeners.onEvent({ type: 'response.created', response: { id: 'resp_1' } });
  assert.equal(world.call.state, 'live');
  world.listeners.onEvent({ type: 'response.done', response: { id: 'resp_1', output: [] } });
  assert.deepEqual([world.call.state, world.reports.at(-1), world.freed], ['reconnecting', ['rtc_1', 'ended', 'renewed'], 0]);
  Object.assign(world, { secret: gate(), connection: gate() });
  await settle();
  for (let step = 0; step < 2; step += 1) {
    mock.timers.tick(FAREWELL_MS);
    await settle();
  }
  await answer();
  assert.deepEqual([world.call.state, world.continued, world.sent.at(-1)], ['live', ['rtc_1'], world.earlier[0]]);
});

test('over WebSocket the server lets sessions follow each other', async () => {
  world.link.kind = 'websocket';
  await openTo(world, 'live');
  world.listeners.onEvent({ type: 'session.created', session: { expires_at: 21 } });
  world.nowMs = 20_500;
  mock.timers.tick(20_000);
  assert.equal(world.call.state, 'live');
});

test('item 27: muting survives a lost connection', async () => {
  await openTo(world, 'live');
  world.call.mute(true);
  await lose();
  world.muted = null;
  await nextTry(0);
  await answer();
  assert.deepEqual([world.muted, world.call.part], [true, 'muted']);
});

test('item 54: the assistant is told again what was said before, and the page whether it was', async () => {
  const told = [];
  world.call.addEventListener('connected-again', (event) => told.push(event.detail));
  await openTo(world, 'live');
  world.earlier = [{ type: 'conversation.item.create' }];
  await lose();
  await nextTry(0);
  await answer();
  assert.deepEqual([world.sent, told], [world.earlier, [true]]);
});

test('sound that had stopped before the end is held against WebRTC, an end by the other side is not', async () => {
  await openTo(world, 'live');
  await lose();
  assert.equal(world.broken, 0);
  await nextTry(0);
  await answer();
  world.listeners.onUnstable(true);
  await lose();
  assert.equal(world.broken, 1);
  await nextTry(1);
  await refuse('quota_exceeded');
  assert.deepEqual(world.settled, [true, true, false]);
});

test('item 53: what cannot be set up one way is tried the other way, with a fresh secret', async () => {
  world.fallsBackOn = 'webrtc_connection_failed';
  await openTo(world, 'connecting');
  const { connection } = world;
  Object.assign(world, { secret: gate(), connection: gate() });
  connection.reject(new CallError({ code: 'webrtc_connection_failed' }));
  await settle();
  assert.deepEqual([world.call.state, world.reports.at(-1)], ['minting', ['rtc_1', 'failed', 'connection_lost']]);
  world.fallsBackOn = '';
  await answer();
  assert.deepEqual([world.call.state, world.usedSecret, world.freed], ['live', 'ek_2', 0]);
});

test('item 49: a secret that ran out before it was used is replaced once, silently', async () => {
  await openTo(world, 'connecting');
  for (const state of ['minting', 'failed']) {
    const { connection } = world;
    Object.assign(world, { secret: gate(), connection: gate() });
    connection.reject(new CallError({ code: 'ephemeral_key_expired' }));
    await settle();
    assert.equal(world.call.state, state);
    world.secret.resolve({ ephemeralKey: 'ek_2' });
    await settle();
  }
  assert.equal(world.call.failure.code, 'ephemeral_key_expired');
});

test('an end by the server is told with its reason, not as a failure', async () => {
  await openTo(world, 'live');
  world.told = Promise.resolve('administrator');
  world.listeners.onClose();
  assert.deepEqual([world.call.state, world.freed], ['live', 0]);
  await settle();
  assert.deepEqual([world.call.state, world.call.endReason, world.call.failure, world.freed], ['ended', 'administrator', null, 1]);
});

test('a transport that tells the reason itself needs no question', async () => {
  await openTo(world, 'live');
  world.listeners.onClose('budget');
  assert.deepEqual([world.call.state, world.call.endReason], ['ended', 'budget']);
});

test('an end that only the heartbeat hears of is an end', async () => {
  await openTo(world, 'live');
  world.told = Promise.resolve('administrator');
  mock.timers.tick(HEARTBEAT_MS);
  await settle();
  assert.deepEqual([world.call.state, world.call.endReason], ['ended', 'administrator']);
});

test('a server that does not answer leaves it at a lost connection', async () => {
  await openTo(world, 'live');
  await lose(new Promise(() => {}));
  assert.deepEqual([world.call.state, world.call.part], ['live', 'unstable']);
  mock.timers.tick(FAREWELL_MS);
  await settle();
  assert.equal(world.call.state, 'reconnecting');
});

test('a reason that only a page gives is no explanation', async () => {
  await openTo(world, 'live');
  await lose('connection_lost');
  assert.equal(world.call.state, 'reconnecting');
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
