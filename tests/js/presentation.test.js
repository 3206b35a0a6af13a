import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ADVICE } from '../../static/realtime_ui/js/call_errors.js';
import { ENDED_BY_SERVER } from '../../static/realtime_ui/js/call_state.js';
import { describe } from '../../static/realtime_ui/js/presentation.js';
import { clockTime, createWords } from '../../static/realtime_ui/js/words.js';

const SOURCE = readFileSync(new URL('../../realtime_ui/words.py', import.meta.url), 'utf8');
const TABLE = Object.fromEntries([...SOURCE.matchAll(/"(\w+)": _\(\s*"([^"]*)"/g)].map((found) => [found[1], found[2]]));
const words = createWords(TABLE);

const QUIET = { hearing: false, waiting: false, responding: false, playing: false, tool: '' };
const CALL = { state: 'idle', part: 'listening', talkMode: 'off', typing: false, muted: false, slow: false, problem: '', failure: null, activity: QUIET, canStopReply: false, endReason: '', liveSinceMs: 0, endedAtMs: 0, reconnection: { attempt: 0, retryAtMs: 0, isOffline: false } };
const AROUND = { userAgent: 'Firefox/150', waitS: 0, hasTranscript: false, soundBlocked: false };
const shown = (call, around = {}) => describe({ ...CALL, ...call }, words, { ...AROUND, ...around });
const offered = (call, around) => Object.values(shown(call, around).buttons).sort();

const ROWS = [
  [{ state: 'idle' }, 'Ready when you are', ['Start talking', 'Type instead']],
  [{ state: 'preparing' }, 'Checking your microphone…', ['Cancel']],
  [{ state: 'blocked', problem: 'blocked' }, 'Microphone is blocked', ['Check the connection', 'Try again', 'Type instead']],
  [{ state: 'blocked', problem: 'dismissed' }, "The microphone wasn't allowed", ['Check the connection', 'Try again', 'Type instead']],
  [{ state: 'blocked', problem: 'missing' }, 'No microphone found', ['Check the connection', 'Try again', 'Type instead']],
  [{ state: 'blocked', problem: 'busy' }, 'Microphone is busy', ['Check the connection', 'Try again', 'Type instead']],
  [{ state: 'minting' }, 'Getting a session…', ['Cancel']],
  [{ state: 'connecting' }, 'Connecting…', ['Cancel']],
  [{ state: 'live' }, 'Listening', ['End call', 'Mute', 'Stop reply']],
  [{ state: 'live', part: 'hearing' }, 'Hearing you…', ['End call', 'Mute', 'Stop reply']],
  [{ state: 'live', part: 'thinking' }, 'Thinking…', ['End call', 'Mute', 'Stop reply']],
  [{ state: 'live', part: 'speaking' }, 'Speaking', ['End call', 'Mute', 'Stop reply']],
  [{ state: 'live', part: 'muted', muted: true }, 'You are muted', ['End call', 'Stop reply', 'Unmute']],
  [{ state: 'live', part: 'unheard' }, 'Microphone disconnected', ['End call', 'Mute', 'Stop reply']],
  [{ state: 'live', part: 'unstable' }, 'Connection interrupted', ['End call', 'Mute', 'Stop reply']],
  [{ state: 'live', part: 'hold', talkMode: 'ready' }, 'Hold to talk', ['End call', 'Stop reply', 'Talk']],
  [{ state: 'live', part: 'holding', talkMode: 'holding' }, 'Hearing you…', ['End call', 'Stop reply', 'Talk']],
  [{ state: 'live', typing: true }, 'Type your question', ['End call', 'Stop reply']],
  [{ state: 'failed', failure: { code: 'connection_lost' } }, 'Connection lost', ['Check the connection', 'Try again']],
  [{ state: 'failed', failure: { code: 'not_authenticated' } }, 'You have been signed out', ['Sign in']],
  [{ state: 'failed', failure: { code: 'webrtc_connection_failed' } }, 'Could not connect', ['Check the connection', 'Try again', 'Type instead']],
  [{ state: 'failed', failure: { code: 'quota_exceeded', metric: 'seconds_a_month' } }, "You have used this month's allowance", []],
  [{ state: 'ended' }, 'Call ended', ['Start again']],
  [{ state: 'ended', endReason: 'administrator' }, 'An administrator ended this call', ['Start again']],
  [{ state: 'ended', typing: true }, 'Call ended', ['Start talking', 'Type again']],
];

for (const [call, headline, buttons] of ROWS) {
  test(`${call.state} ${call.part ?? call.problem ?? call.failure?.code ?? ''}: ${headline}`, () => {
    assert.equal(shown(call).headline, headline);
    assert.deepEqual(offered(call), buttons);
  });
}

test('no state or failure lacks its words', () => {
  const calls = [...ROWS.map(([call]) => call), ...Object.keys(ADVICE).map((code) => ({ state: 'failed', failure: { code } }))];
  for (const call of calls) {
    const { headline, line, steps, buttons } = shown(call);
    for (const text of [headline, line, ...steps, ...Object.values(buttons)]) assert.doesNotMatch(text, /^[a-z]+_[a-z_0-9]+$/);
  }
});

test('each end by the server is explained', () => {
  for (const endReason of [...ENDED_BY_SERVER, 'session_limit']) {
    const { headline, line } = shown({ state: 'ended', endReason });
    assert.doesNotMatch(line, /ended_by/);
    assert.notDeepEqual([headline, line], [shown({ state: 'ended' }).headline, shown({ state: 'ended' }).line]);
  }
});

test('item 19: each browser has its steps', () => {
  for (const userAgent of ['Chrome/1', 'Firefox/1', 'Macintosh Safari/1', 'iPhone', 'Android Chrome/1', 'curl']) {
    const { steps } = shown({ state: 'blocked', problem: 'blocked' }, { userAgent });
    assert.ok(steps.length >= 2);
    for (const step of steps) assert.doesNotMatch(step, /^steps_/);
  }
});

test('Stop reply is enabled only when there is a reply', () => {
  assert.deepEqual(shown({ state: 'live' }).disabled, ['stop']);
  assert.deepEqual(shown({ state: 'live', part: 'speaking', canStopReply: true }).disabled, []);
});

test('a missing upstream is told with what to do about it, a broken one is not', () => {
  const lineOf = (status) => shown({ state: 'failed', failure: { code: 'openai_api_unavailable', status } }).line;
  assert.match(lineOf(503), /\{hint\}/);
  assert.doesNotMatch(lineOf(502), /\{hint\}/);
});

test('a failure shows its reference, and none when there is none', () => {
  assert.equal(shown({ state: 'failed', failure: { code: 'odd', requestId: 'req_1' } }).reference, 'req_1');
  assert.equal(shown({ state: 'failed', failure: { code: 'odd' } }).reference, '');
});

test('item 32: Play sound is offered when the browser keeps the reply silent', () => {
  assert.ok(offered({ state: 'live' }, { soundBlocked: true }).includes('Play sound'));
});

test('the tool at work is named', () => {
  const call = { state: 'live', part: 'thinking', activity: { ...QUIET, responding: true, tool: 'opening hours' } };
  assert.equal(shown(call).line, 'Looking up: opening hours…');
});

test('an ended call tells its length and offers the transcript when there is one', () => {
  const call = { state: 'ended', liveSinceMs: 1_000, endedAtMs: 66_400 };
  assert.match(shown(call).line, /01:05/);
  assert.deepEqual(offered(call, { hasTranscript: true }), ['Download transcript', 'Start again']);
});

test('only what needs doing is an alert', () => {
  for (const [call] of ROWS) assert.equal(shown(call).isAlert, ['blocked', 'failed'].includes(call.state));
});

test('words fill their places and show missing keys', () => {
  const say = createWords({ hello: 'Hello {name}, {other}' });
  assert.equal(say('hello', { name: 'Ada' }), 'Hello Ada, {other}');
  assert.equal(say('toString'), 'toString');
});

test('times are minutes and seconds', () => assert.deepEqual([0, 65_400, 3_600_000, -5].map(clockTime), ['00:00', '01:05', '60:00', '00:00']));

test('item 51: while a connection is lost it tells when the next try begins, and offers not to wait', () => {
  const at = (reconnection) => shown({ state: 'reconnecting', reconnection: { attempt: 2, retryAtMs: 3_400, isOffline: false, ...reconnection } }, { nowMs: 2_000 });
  assert.deepEqual([at({}).headline, at({}).line], ['Connection lost', 'Trying again in 2 s (attempt 2 of 3).']);
  assert.deepEqual([at({}).buttons, at({}).disabled], [{ try_now: 'Try now', end: 'End call' }, []]);
  assert.deepEqual([at({ retryAtMs: 0 }).line, at({ retryAtMs: 0 }).disabled], ['Connecting…', ['try_now']]);
  assert.match(at({ isOffline: true, retryAtMs: 0 }).line, /^You are offline\./);
});

const REFUSALS = [
  ['not_authenticated', '', 'You have been signed out', 'Sign in again to go on.', ['Sign in']],
  ['policy_denied', '', "This assistant isn't open to you", 'Choose another or ask an administrator.', ['Choose another']],
  ['agent_disabled', '', "This assistant isn't open to you", 'Choose another or ask an administrator.', ['Choose another']],
  ['quota_exceeded', 'seconds_a_day', "You have used today's allowance", 'It resets at 00:00 UTC.', []],
  ['rate_limited', '', 'Too many tries', 'Take a short break, then try again.', ['Check the connection', 'Try again in 3 s']],
  ['too_many_calls', '', 'You are already in a call', /^End it here or go to it\./, ['Check the connection', 'End the other call', 'Try again in 3 s']],
  ['openai_api_unavailable', '', "The voice service isn't answering", /^Nothing is wrong with your microphone\./, ['Check the connection', 'Try again in 3 s']],
  ['upstream_timeout', '', "The voice service isn't answering", /^Nothing is wrong with your microphone\./, ['Check the connection', 'Try again in 3 s']],
  ['not_configured', '', "Voice isn't set up yet", /^An administrator must set OPENAI_API_KEY, or LOCAL_ENGINE=true/, []],
  ['something_new', '', 'Something went wrong', /^Try again\./, ['Check the connection', 'Copy details', 'Try again in 3 s']],
];

for (const [code, metric, headline, line, buttons] of REFUSALS) {
  test(`item 55: ${code} says what happened, what to do, and by what it is found`, () => {
    const failure = { code, metric, message: 'It resets at 00:00 UTC.', requestId: 'req_1' };
    const told = shown({ state: 'failed', failure }, { waitS: 3, canChoose: true });
    assert.deepEqual([told.headline, told.reference, Object.values(told.buttons).sort()], [headline, 'req_1', buttons]);
    assert.match(told.line, line instanceof RegExp ? line : new RegExp(`^${line}$`));
    assert.doesNotMatch(`${told.headline} ${told.line}`, new RegExp(code));
  });
}

test('item 55: nobody is sent to choose where there is one assistant', () => {
  assert.deepEqual(offered({ state: 'failed', failure: { code: 'policy_denied' } }), []);
});

test('item 56: Retry-After is counted down, and over when it is', () => {
  const button = (waitS) => {
    const { buttons, disabled } = shown({ state: 'failed', failure: { code: 'rate_limited' } }, { waitS });
    return [buttons.start, disabled];
  };
  assert.deepEqual([button(3), button(1), button(0)], [['Try again in 3 s', ['start']], ['Try again in 1 s', ['start']], ['Try again', []]]);
});

test('item 55: what the administrator said is told with the end', () => {
  const call = { state: 'ended', endReason: 'administrator', liveSinceMs: 0, endedAtMs: 61_000, typing: false };
  const told = describe(call, (key, values = {}) => [key, values.reason].filter(Boolean).join(': '), { hasTranscript: false, endReason: 'Call again' });
  assert.equal(told.headline, 'ended_by_administrator_headline');
  assert.match(told.line, /^ended_by_administrator_reason: Call again /);
});
