import assert from 'node:assert/strict';
import { test } from 'node:test';

import { browserKind, problemOf } from '../../static/realtime_ui/js/microphone_errors.js';

const PROBLEMS = [
  ['NotAllowedError', '', 'blocked'],
  ['NotAllowedError', 'Permission denied by system', 'blocked_by_system'],
  ['NotAllowedError', 'Permission dismissed', 'dismissed'],
  ['SecurityError', '', 'blocked'],
  ['NotFoundError', '', 'missing'],
  ['OverconstrainedError', '', 'missing'],
  ['NotReadableError', '', 'busy'],
  ['AbortError', '', 'busy'],
  ['SomethingNew', '', 'busy'],
];

for (const [name, message, problem] of PROBLEMS) {
  test(`item 18: ${name} ${message} is ${problem}`, () => assert.equal(problemOf({ name, message }), problem));
}

test('item 18: what is no error at all is still told', () => {
  for (const thrown of [null, undefined, 'text', {}]) assert.equal(problemOf(thrown), 'busy');
});

const BROWSERS = [
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36', 'chrome'],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36 Edg/156.0', 'chrome'],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0', 'firefox'],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/20.0 Safari/605.1.15', 'safari_mac'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 20_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/20.0 Mobile Safari/604.1', 'safari_iphone'],
  ['Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Mobile Safari/537.36', 'chrome_android'],
  ['curl/8', 'other'],
];

for (const [userAgent, kind] of BROWSERS) test(`item 19: steps for ${kind}: ${userAgent.slice(0, 60)}`, () => assert.equal(browserKind(userAgent), kind));
