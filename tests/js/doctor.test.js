import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';

import { CHECKS, CHECK_TIMEOUT_MS, examine } from '../../static/realtime_ui/js/doctor.js';
import { reportText } from '../../static/realtime_ui/js/doctor_report.js';
import { MicrophoneError } from '../../static/realtime_ui/js/microphone_errors.js';

const NOW_MS = Date.parse('2026-11-21T12:00:00Z');
const answer = (status, body = {}, headers = {}) => new Response(JSON.stringify(body), { status, headers: { Date: new Date(NOW_MS).toUTCString(), ...headers } });

let tools, freed;
beforeEach(() => {
  freed = 0;
  const stream = { getAudioTracks: () => [{ label: 'Desk' }] };
  tools = {
    isSecure: true,
    permission: async () => 'granted',
    openMicrophone: async () => ({ stream, free: () => (freed += 1) }),
    loudest: async () => 0.2,
    askHealth: async () => answer(200, { status: 'ready', reasons: {} }),
    rehearse: async () => answer(200, { agent: 'guide', model: 'm-1', kind: 'relayed', requestId: 'req_1' }),
    openSocket: async () => 'not_authenticated',
    loopBack: async () => ({ kinds: ['host/udp'] }),
    now: () => NOW_MS,
  };
});

const look = (signal = new AbortController().signal) => examine(tools, () => {}, signal);

async function findingOf(name) {
  const { verdict, outcome, values } = (await look()).find((result) => result.name === name);
  return [verdict, outcome, values].filter((part) => part !== undefined);
}

test('a whole machine is found whole, and the microphone is given back', async () => {
  const results = await look();
  assert.deepEqual([...new Set(results.map(({ verdict }) => verdict)), results.length, freed], ['good', Object.keys(CHECKS).length, 1]);
});

const FAULTS = [
  ['secure', { isSecure: false }, ['bad', 'no']],
  ['permission', { permission: async () => 'denied' }, ['bad', 'denied']],
  ['permission', { permission: async () => 'unknown' }, ['good', 'open']],
  ['microphone', { openMicrophone: () => Promise.reject(new MicrophoneError('missing')) }, ['bad', 'missing']],
  ['level', { openMicrophone: () => Promise.reject(new MicrophoneError('missing')) }, ['skipped', 'skipped']],
  ['level', { loudest: async () => 0.0002 }, ['warning', 'silent']],
  ['server', { askHealth: () => Promise.reject(new TypeError('offline')) }, ['bad', 'unreachable']],
  ['server', { askHealth: async () => answer(503, { reasons: { cache: '' } }) }, ['bad', 'unready']],
  ['clock', { askHealth: () => Promise.reject(new TypeError('offline')) }, ['skipped', 'skipped']],
  ['clock', { askHealth: async () => answer(200, {}, { Date: new Date(NOW_MS - 95_000).toUTCString() }) }, ['warning', 'wrong', { n: 94 }]],
  ['clock', { askHealth: async () => answer(200, {}, { Date: new Date(NOW_MS + 95_000).toUTCString() }) }, ['warning', 'wrong', { n: 95 }]],
  ['clock', { askHealth: async () => answer(200, {}, { Date: new Date(NOW_MS - 25_000).toUTCString() }) }, ['good', 'right']],
  ['allowed', { rehearse: async () => answer(403, { code: 'quota_exceeded', message: 'Used up.' }) }, ['bad', 'no', { reason: 'Used up.' }]],
  ['allowed', { rehearse: () => Promise.reject(new TypeError('offline')) }, ['bad', 'unreachable']],
  ['socket', { openSocket: () => Promise.reject(new Error('closed with 1006')) }, ['bad', 'blocked']],
  ['webrtc', { loopBack: async () => ({ kinds: ['host/tcp'] }) }, ['warning', 'no_udp']],
  ['webrtc', { loopBack: () => Promise.reject(new ReferenceError('RTCPeerConnection')) }, ['bad', 'broken']],
];

for (const [name, fault, expected] of FAULTS) {
  test(`${name}: ${expected.slice(0, 2).join(', ')}`, async () => {
    Object.assign(tools, fault);
    assert.deepEqual(await findingOf(name), expected);
  });
}

test('what never answers is a fault, and the rest is looked at all the same', async (context) => {
  context.mock.method(AbortSignal, 'timeout', () => {
    const late = new AbortController();
    setTimeout(() => late.abort(new DOMException('', 'TimeoutError')), 20);
    return late.signal;
  });
  tools.loopBack = () => new Promise(() => {});
  tools.rehearse = () => new Promise(() => {});
  const faults = (await look()).filter(({ verdict }) => verdict !== 'good').map(({ name, outcome }) => [name, outcome]);
  assert.deepEqual(faults, [['allowed', 'broken'], ['webrtc', 'broken']]);
  assert.ok(AbortSignal.timeout.mock.calls.every(({ arguments: [ms] }) => ms === CHECK_TIMEOUT_MS));
});

test('a microphone that comes too late is given back', async () => {
  const stopping = new AbortController();
  let allow;
  const { openMicrophone } = tools;
  tools.openMicrophone = () => new Promise((resolve) => (allow = () => resolve(openMicrophone())));
  const looking = look(stopping.signal);
  await new Promise((resolve) => setTimeout(resolve));
  stopping.abort();
  await looking;
  allow();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(freed, 1);
});

test('each finding has its words', async () => {
  const words = readFileSync(new URL('../../realtime_ui/words.py', import.meta.url), 'utf8');
  for (const [name, fault, [, outcome]] of [...FAULTS, ...Object.keys(CHECKS).map((name) => [name, {}, ['', '']])]) {
    if (['broken', 'skipped'].includes(outcome)) continue;
    const key = name === 'microphone' && outcome !== 'open' && outcome ? `microphone_${outcome}` : ['doctor', name, outcome].filter(Boolean).join('_');
    assert.ok(words.includes(`"${key}":`), `${key} (${Object.keys(fault)})`);
  }
  for (const { name, outcome } of await look()) assert.ok(words.includes(`"doctor_${name}_${outcome}":`), `${name} ${outcome}`);
});

test('the report tells all, and nothing that lets in', async () => {
  tools.openMicrophone = async () => ({ stream: { getAudioTracks: () => [{ label: 'ek_abcdef0123 sk-live vak_secret Bearer xyz' }] }, free: () => {} });
  const failure = { code: 'network', status: 0, requestId: 'req_9' };
  const text = reportText(await look(), { at: new Date(NOW_MS), page: 'https://voice.example/', userAgent: 'Browser/1', failure });
  assert.match(text, /^Connection check of https:\/\/voice\.example\/ at 2026-11-21T12:00:00\.000Z\nBrowser\/1\n/);
  assert.match(text, /^good {4}allowed: yes, guide m-1 req_1$/m);
  assert.match(text, /^Last failure: network 0 req_9$/m);
  assert.doesNotMatch(text, /abcdef|live|secret|xyz/);
});
