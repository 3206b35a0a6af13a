import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ADVICE, adviceFor, CallError, failureOf, parseFailure } from '../../static/realtime_ui/js/call_errors.js';

const NO_HEADERS = new Headers();
const WORDS = new Set([...readFileSync(new URL('../../realtime_ui/words.py', import.meta.url), 'utf8').matchAll(/^ {4}"(\w+)": _/gm)].map((found) => found[1]));

const HEADLINES = {
  not_authenticated: 'signed_out',
  csrf_failed: 'stale_page',
  permission_denied: 'not_open',
  rate_limited: 'rate_limited',
  quota_exceeded: 'quota',
  unknown_agent: 'not_open',
  agent_disabled: 'not_open',
  too_many_calls: 'too_many_calls',
  ephemeral_key_expired: 'secret_spent',
  client_secret_used: 'secret_spent',
  invalid_sdp: 'browser_call',
  origin_not_allowed: 'origin',
  openai_api_unavailable: 'upstream',
  upstream_timeout: 'upstream',
  upstream_auth_failed: 'server_key',
  upstream_bad_response: 'upstream',
  unknown_openai_error: 'unknown',
  limits_unavailable: 'busy',
  sdp_policy: 'browser_call',
  audit_unavailable: 'audit',
  not_configured: 'not_set_up',
  token_generation_failed: 'unknown',
  connection_lost: 'connection_lost',
  webrtc_connection_failed: 'no_media',
};

for (const [code, name] of Object.entries(HEADLINES)) {
  test(`${code} is told as ${name}`, () => assert.equal(adviceFor(code).headline, `error_${name}`));
}

test('an allowance that is used up is told by its period', () => {
  const headlineOf = (context) => {
    const { code, metric } = parseFailure(403, { code: 'quota_exceeded', context }, NO_HEADERS);
    return adviceFor(code, metric).headline;
  };
  assert.equal(headlineOf({ metric: 'seconds_a_day' }), 'error_quota_day');
  assert.equal(headlineOf({ metric: 'microdollars_a_month' }), 'error_quota_month');
  for (const other of [undefined, null, {}, { metric: 'seconds_a_year' }]) assert.equal(headlineOf(other), 'error_quota');
  for (const key of ['error_quota_day', 'error_quota_month']) assert.ok(WORDS.has(key), key);
});

test('an unknown code is told with its reference', () => {
  for (const code of ['never_heard_of', 'constructor', '']) assert.equal(adviceFor(code).headline, 'error_unknown');
});

test('every headline and line has its words', () => {
  for (const { headline, line } of Object.values(ADVICE)) for (const key of [headline, line]) assert.ok(WORDS.has(key), key);
});

test('our own shape is read', () => {
  const failure = parseFailure(429, { error: 'x', code: 'rate_limited', message: 'Slow down.', requestId: 'req_1', retryAfter: 6500 }, NO_HEADERS);
  assert.deepEqual(failure, { code: 'rate_limited', status: 429, message: 'Slow down.', requestId: 'req_1', retryAfterS: 7, metric: '' });
});

test('the shape of the upstream is read', () => {
  const body = { error: { message: 'Used.', type: 'invalid_request_error', code: 'client_secret_used', param: null } };
  assert.equal(parseFailure(409, body, NO_HEADERS).code, 'client_secret_used');
});

test('Retry-After and the reference come from the headers too', () => {
  const failure = parseFailure(503, null, new Headers({ 'Retry-After': '3', 'X-Request-ID': 'req_9' }));
  assert.deepEqual([failure.retryAfterS, failure.requestId, failure.code], [3, 'req_9', 'openai_api_unavailable']);
});

test('a 401 of the relay is about the secret, one of our API about the person', () => {
  assert.equal(parseFailure(401, { error: { message: 'no', code: null } }, NO_HEADERS).code, 'ephemeral_key_expired');
  assert.equal(parseFailure(401, {}, NO_HEADERS).code, 'not_authenticated');
});

test('no body can break the reader', () => {
  for (const body of [null, undefined, 'text', 7, [], { error: null }, { error: [] }, { retryAfter: 'soon' }, { retryAfter: -1 }]) {
    assert.equal(parseFailure(500, body, NO_HEADERS).code, 'unknown');
  }
});

test('anything thrown becomes a failure', () => {
  assert.equal(failureOf(new CallError({ code: 'network' })).code, 'network');
  for (const thrown of [new Error('x'), null, 'text']) assert.equal(failureOf(thrown).code, 'unknown');
});
