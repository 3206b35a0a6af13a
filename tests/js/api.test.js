import assert from 'node:assert/strict';
import { afterEach, mock, test } from 'node:test';

import { endOwnCalls, handOver, issueClientSecret, REACH_DELAYS_MS, REQUEST_TIMEOUT_MS, reportCallEvent } from '../../static/realtime_ui/js/api.js';

const CONFIG = { clientSecretUrl: '/api/client-secret', callEventsUrl: '/api/calls/{callId}/events', csrfHeader: 'X-CSRFToken', csrfToken: 'token' };
const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

/** Answer every request alike and keep what was asked. */
function serverSays(status, body, headers = {}) {
  const asked = [];
  globalThis.fetch = async (url, options) => {
    asked.push({ url, ...options });
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers });
  };
  return asked;
}

const issue = () => issueClientSecret(CONFIG, 'guide', new AbortController().signal);
const codeOf = (promise) => promise.then(() => 'fine', (error) => error.failure?.code);

test('it asks with the agent, the token and the session', async () => {
  const [asked] = [serverSays(200, { ephemeralKey: 'ek_1' })];
  await issue();
  const { url, method, credentials, headers, body } = asked[0];
  assert.deepEqual([url, method, credentials, headers['X-CSRFToken'], body], ['/api/client-secret', 'POST', 'same-origin', 'token', '{"agent":"guide"}']);
});

test('another agent is asked for by the route of the call', async () => {
  const asked = serverSays(202, { state: 'requested' });
  assert.equal(await handOver({ ...CONFIG, commandsUrl: '/api/calls/{callId}/commands' }, 'rtc_1', 'billing'), true);
  assert.deepEqual([asked[0].url, asked[0].body], ['/api/calls/rtc_1/commands', '{"kind":"agent","text":"billing"}']);
});

test('a call that the server does not reach yet is asked about again', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const statuses = [409, 409, 202];
  const asked = [];
  globalThis.fetch = async (url) => new Response('{}', { status: statuses[asked.push(url) - 1] });
  const isGiven = handOver({ ...CONFIG, commandsUrl: '/c' }, 'rtc_1', 'billing');
  for (const delayMs of REACH_DELAYS_MS) {
    await new Promise(setImmediate);
    mock.timers.tick(delayMs);
  }
  assert.equal(await isGiven, true);
  assert.equal(asked.length, 3);
  mock.timers.reset();
});

test('a refused handoff, or no network, is no handoff', async () => {
  serverSays(404, { code: 'unknown_agent' });
  assert.equal(await handOver({ ...CONFIG, commandsUrl: '/c' }, 'rtc_1', 'billing'), false);
  globalThis.fetch = () => Promise.reject(new TypeError('offline'));
  assert.equal(await handOver({ ...CONFIG, commandsUrl: '/c' }, 'rtc_1', 'billing'), false);
});

test('a version that is tried is named', async () => {
  const asked = serverSays(200, { ephemeralKey: 'ek_1' });
  await issueClientSecret({ ...CONFIG, version: 3 }, 'guide', new AbortController().signal);
  assert.equal(asked[0].body, '{"agent":"guide","version":3}');
});

test('it returns what was issued', async () => {
  serverSays(200, { ephemeralKey: 'ek_1', requestId: 'req_1' });
  assert.equal((await issue()).ephemeralKey, 'ek_1');
});

test('a refusal carries its code and wait', async () => {
  serverSays(429, { code: 'rate_limited', message: '', requestId: 'r' }, { 'Retry-After': '4' });
  const error = await issue().catch((thrown) => thrown);
  assert.deepEqual([error.failure.code, error.failure.retryAfterS], ['rate_limited', 4]);
});

test('an answer without a secret is a failure', async () => {
  serverSays(200, {});
  assert.equal(await codeOf(issue()), 'unknown');
});

test('a page of HTML instead of JSON is a failure', async () => {
  serverSays(502, '<html>');
  assert.equal(await codeOf(issue()), 'openai_api_unavailable');
});

test('no network is told as such', async () => {
  globalThis.fetch = async () => {
    throw new TypeError('Failed to fetch');
  };
  assert.equal(await codeOf(issue()), 'network');
});

test('a server that never answers is given up', async () => {
  const [realTimeout, waits] = [AbortSignal.timeout, []];
  AbortSignal.timeout = (ms) => {
    waits.push(ms);
    return AbortSignal.abort();
  };
  globalThis.fetch = async (_, { signal }) => signal.throwIfAborted();
  const code = await codeOf(issue());
  AbortSignal.timeout = realTimeout;
  assert.deepEqual([code, waits], ['network', [REQUEST_TIMEOUT_MS]]);
});

test('a report outlives the page and goes to its call', async () => {
  const asked = serverSays(204, '');
  globalThis.fetch = async (url, options) => {
    asked.push({ url, ...options });
    return new Response(null, { status: 204 });
  };
  await reportCallEvent(CONFIG, 'rtc_a/b', { type: 'ended', reason: 'user' });
  assert.deepEqual([asked[0].url, asked[0].keepalive, asked[0].body], ['/api/calls/rtc_a%2Fb/events', true, '{"type":"ended","reason":"user"}']);
});

test('a report is answered with why the call has ended, if it has', async () => {
  for (const [body, reason] of [['{"state":"ended","endReason":"idle"}', 'idle'], ['{"state":"live","endReason":null}', ''], ['no JSON', '']]) {
    serverSays(200, body);
    assert.equal(await reportCallEvent(CONFIG, 'rtc_1', { type: 'failed', reason: 'connection_lost' }), reason);
  }
  serverSays(404, '{"endReason":"idle"}');
  assert.equal(await reportCallEvent(CONFIG, 'rtc_1', { type: 'failed', reason: 'connection_lost' }), '');
});

test('a report is answered with what the server knows of the call', async () => {
  serverSays(200, '{"state":"live","endReason":null,"costMicrodollars":6946}');
  const told = [];
  await reportCallEvent(CONFIG, 'rtc_1', { type: 'heartbeat' }, (facts) => told.push(facts.costMicrodollars));
  assert.deepEqual(told, [6946]);
});

test('a report that fails is swallowed', async () => {
  globalThis.fetch = async () => {
    throw new TypeError('Failed to fetch');
  };
  assert.equal(await reportCallEvent(CONFIG, 'rtc_1', { type: 'heartbeat' }), '');
});

test('one\'s own calls that go on are ended, and no other', async () => {
  const asked = [];
  const calls = [{ callId: 'rtc_1', state: 'live' }, { callId: 'rtc_2', state: 'ended' }, { callId: null, state: 'live' }];
  globalThis.fetch = async (url, options = {}) => {
    asked.push([options.method ?? 'GET', url]);
    return new Response(JSON.stringify({ results: calls }));
  };
  await endOwnCalls({ ...CONFIG, callListUrl: '/api/calls', hangUpUrl: '/calls/{callId}/hangup' });
  assert.deepEqual(asked, [['GET', '/api/calls'], ['POST', '/calls/rtc_1/hangup']]);
});

test('a list that cannot be had ends nothing and breaks nothing', async () => {
  globalThis.fetch = async () => {
    throw new TypeError('offline');
  };
  await endOwnCalls({ ...CONFIG, callListUrl: '/api/calls', hangUpUrl: '/calls/{callId}/hangup' });
});
