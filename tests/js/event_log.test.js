import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventLog, masked, MAX_ROWS } from '../../static/realtime_ui/js/event_log.js';

test('five thousand deltas are one row', () => {
  const log = new EventLog(() => 0);
  for (let index = 0; index < 5_000; index += 1) log.add({ type: 'response.output_text.delta' }, false);
  assert.deepEqual([log.rows.length, log.rows[0].count], [1, 5_000]);
});

test('rows are bounded and the oldest goes', () => {
  const log = new EventLog(() => 0);
  for (let index = 0; index < MAX_ROWS + 5; index += 1) log.add({ type: `event.${index}` }, false);
  assert.deepEqual([log.rows.length, log.rows[0].type], [MAX_ROWS, 'event.5']);
});

test('secrets, passwords of an SDP and sound are masked', () => {
  const text = masked({ type: 'x', a: 'Bearer ek_abc-123', b: 'sk-proj-9', authorization: 'Basic x', audio: 'UklG', sdp: 'a=ice-pwd:verysecret\r\na=x', session: { client_secret: { value: 'ek_zzz' } } });
  for (const secret of ['abc-123', 'proj-9', 'Basic', 'UklG', 'verysecret', 'zzz']) assert.ok(!text.includes(secret), secret);
});

test('settings of sound that are no sound stay readable', () => assert.match(masked({ type: 'x', audio: { output: { voice: 'marin' } } }), /marin/));
