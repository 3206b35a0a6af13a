import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodePcm, encodePcm } from '../../static/realtime_ui/js/pcm.js';

test('samples are 16 bits, the low byte first', () => {
  const bytes = Buffer.from(encodePcm(Float32Array.of(0, 0.5, -0.5, 1 / 0x8000)), 'base64');
  assert.deepEqual([...bytes], [0, 0, 0x00, 0x40, 0x00, 0xc0, 1, 0]);
});

test('what is too loud is cut, not turned over', () => {
  const bytes = Buffer.from(encodePcm(Float32Array.of(1, 2, -1, -2)), 'base64');
  assert.deepEqual([0, 2, 4, 6].map((at) => bytes.readInt16LE(at)), [32767, 32767, -32768, -32768]);
});

test('every sample comes back as it was sent', () => {
  const whole = Int16Array.from({ length: 65_536 }, (_, index) => index - 32_768);
  const samples = decodePcm(Buffer.from(whole.buffer).toString('base64'));
  assert.deepEqual(Int16Array.from(samples, (sample) => sample * 0x8000), whole);
  assert.deepEqual(decodePcm(encodePcm(samples)), samples);
});

test('half a sample at the end is left out', () => assert.equal(decodePcm(Buffer.from([1, 2, 3]).toString('base64')).length, 1));
