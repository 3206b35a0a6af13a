import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventLog, jsonLines, masked, MAX_ROWS } from '../../static/realtime_ui/js/event_log.js';

const ALL = { text: '', kind: 'all' };

test('item 58: five thousand deltas are one row, which counts them', () => {
  const log = new EventLog(() => 0);
  for (let index = 0; index < 5_000; index += 1) log.add({ type: 'response.output_text.delta' }, false);
  assert.deepEqual([log.rows.length, log.rows[0].count, log.rows[0].bytes], [1, 5_000, 5_000 * 37]);
});

test('item 58: deltas that take turns are one row each', () => {
  const log = new EventLog(() => 0);
  for (let index = 0; index < 100; index += 1) {
    log.add({ type: 'response.output_audio.delta' }, false);
    log.add({ type: 'response.output_audio_transcript.delta' }, false);
    log.add({ type: 'input_audio_buffer.append' }, true);
  }
  assert.deepEqual(log.rows.map((row) => row.count), [100, 100, 100]);
  log.add({ type: 'response.done' }, false);
  log.add({ type: 'response.output_audio.delta' }, false);
  assert.equal(log.rows.length, 5);
});

test('item 58: rows are bounded, the oldest goes, and that is counted', () => {
  const log = new EventLog(() => 0);
  for (let index = 0; index < MAX_ROWS + 5; index += 1) log.add({ type: `event.${index}` }, false);
  assert.deepEqual([log.rows.length, log.rows[0].type, log.dropped], [MAX_ROWS, 'event.5', 5]);
  assert.equal(new Set(log.rows.map((row) => row.number)).size, MAX_ROWS);
});

test('item 59: the log is searched by text and by direction, and for errors', () => {
  const log = new EventLog(() => 0);
  log.add({ type: 'response.create' }, true);
  log.add({ type: 'error', error: { message: 'Too Long' } }, false);
  log.add({ type: 'response.done', response: { status: 'failed' } }, false);
  const found = (filter) => log.matching({ ...ALL, ...filter }).map((row) => row.type);
  assert.deepEqual(found({ text: 'too long' }), ['error']);
  assert.deepEqual(found({ text: 'response', kind: 'received' }), ['response.done']);
  assert.deepEqual(found({ kind: 'sent' }), ['response.create']);
  assert.deepEqual(found({ kind: 'errors' }), ['error', 'response.done']);
});

const SECRET = {
  type: 'x',
  a: 'Bearer abc-123, then ek_def-456',
  b: 'sk-proj-9',
  authorization: 'Digest zyx',
  audio: 'UklG',
  sdp: 'a=ice-pwd:verysecret\r\na=crypto:1 AES_CM_128 inline:keykey\r\na=x',
  session: { client_secret: { value: 'secretvalue' } },
};

test('item 59: secrets, passwords of an SDP and sound are masked, and the lines stay JSON', () => {
  const log = new EventLog(() => 0);
  log.add(SECRET, true);
  log.add({ type: 'response.output_audio.delta', delta: 'U291bmQ' }, false);
  const lines = jsonLines(log.rows);
  for (const secret of ['abc-123', 'def-456', 'proj-9', 'zyx', 'UklG', 'verysecret', 'keykey', 'secretvalue', 'U291bmQ']) assert.ok(!lines.includes(secret), secret);
  const [first, second] = lines.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual([first.direction, first.event.sdp.includes('a=x'), second.event.delta], ['sent', true, '…']);
});

test('long texts and whole events are cut, and stay JSON', () => {
  assert.ok(JSON.parse(masked({ type: 'x', text: 'y'.repeat(5_000) })).text.length < 1_100);
  const many = { type: 'x', list: Array.from({ length: 5_000 }, () => 'words words') };
  assert.match(JSON.parse(masked(many)).note, /left out/);
});

test('words that are deltas, and settings of sound, stay readable', () => {
  assert.match(masked({ type: 'response.output_text.delta', delta: 'Hello' }), /Hello/);
  assert.match(masked({ type: 'x', audio: { output: { voice: 'marin' } } }), /marin/);
});
