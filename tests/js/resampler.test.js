import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Resampler } from '../../static/realtime_ui/js/resampler.js';

const SECOND = 1;

function tone(hz, rateHz, seconds = SECOND) {
  return Float32Array.from({ length: rateHz * seconds }, (_, index) => 0.5 * Math.sin((2 * Math.PI * hz * index) / rateHz));
}

/** Push in pieces of uneven length, as they come. */
function inPieces(resampler, samples, lengths = [1, 128, 480, 7, 441]) {
  const output = [];
  for (let start = 0, turn = 0; start < samples.length; turn += 1) {
    const length = lengths[turn % lengths.length];
    output.push(...resampler.push(samples.subarray(start, start + length)));
    start += length;
  }
  return output;
}

/** Root mean square of the middle, where nothing begins or ends. */
function loudness(samples) {
  const middle = samples.slice(samples.length / 4, (samples.length * 3) / 4);
  return Math.sqrt(middle.reduce((sum, sample) => sum + sample * sample, 0) / middle.length);
}

for (const [from, to] of [[48_000, 24_000], [44_100, 24_000], [16_000, 24_000], [24_000, 48_000], [24_000, 44_100], [96_000, 24_000]]) {
  test(`a second at ${from} Hz is a second at ${to} Hz, as loud and as high`, () => {
    const output = inPieces(new Resampler(from, to), tone(1_000, from));
    assert.ok(Math.abs(output.length - to) < to / 100, `${output.length} samples`);
    assert.ok(Math.abs(loudness(output) - 0.5 * Math.SQRT1_2) < 0.003, `loudness ${loudness(output)}`);
    const crossings = output.filter((sample, index) => index && sample >= 0 && output[index - 1] < 0).length;
    assert.ok(Math.abs(crossings - 1_000) < 12, `${crossings} periods`);
  });
}

test('what the lower rate cannot carry does not come back as another tone', () => {
  assert.ok(loudness(inPieces(new Resampler(48_000, 24_000), tone(15_000, 48_000))) < 0.001);
  assert.ok(loudness(inPieces(new Resampler(44_100, 24_000), tone(14_000, 44_100))) < 0.001);
});

test('where it is cut into pieces makes no difference', () => {
  const samples = tone(700, 44_100);
  const whole = [...new Resampler(44_100, 24_000).push(samples)];
  assert.deepEqual(inPieces(new Resampler(44_100, 24_000), samples), whole);
});

test('one rate is left as it is', () => {
  const samples = tone(440, 24_000);
  assert.deepEqual(new Resampler(24_000, 24_000).push(samples), samples);
});
