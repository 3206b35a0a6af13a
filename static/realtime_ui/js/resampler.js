// @ts-check
// Change the rate of a stream of samples, piece by piece, without a seam: a windowed sinc with one set of weights for
// each place that an output sample can have between two of the input.

/** On each side of the middle, counted at the lower of the two rates. */
const ZERO_CROSSINGS = 16;
/** Of the lower rate's half: what is above is taken out, so that it does not come back as another tone. */
const PASS_BAND = 0.94;

export class Resampler {
  /** @param {number} fromHz @param {number} toHz */
  constructor(fromHz, toHz) {
    const common = greatestCommonDivisor(fromHz, toHz);
    this.up = toHz / common;
    this.down = fromHz / common;
    this.half = Math.ceil(ZERO_CROSSINGS * Math.max(1, fromHz / toHz));
    this.weights = weightsOf(this.up, this.half, PASS_BAND * Math.min(1, toHz / fromHz));
    /** What the next output samples still need of the input; silence before the first. */
    this.kept = new Float32Array(this.half - 1);
    /** Where the next output sample stands: before the first of `kept` plus `half`, in steps of 1 / up. */
    this.phase = 0;
  }

  /**
   * Take the next samples in, and return as many as can be made of them so far.
   * @param {Float32Array} samples
   * @returns {Float32Array<ArrayBuffer>}
   */
  push(samples) {
    if (this.up === this.down) return Float32Array.from(samples);
    const input = join(this.kept, samples);
    const size = this.half * 2;
    /** @type {number[]} */
    const output = [];
    let start = 0;
    for (; start + size <= input.length; start += this.#advance()) output.push(this.#sample(input, start));
    this.kept = input.slice(start);
    return Float32Array.from(output);
  }

  /** @param {Float32Array} input @param {number} start */
  #sample(input, start) {
    const weights = this.weights[this.phase];
    let sum = 0;
    for (let tap = 0; tap < weights.length; tap += 1) sum += weights[tap] * input[start + tap];
    return sum;
  }

  /** Go on to the next output sample; returns how many input samples that leaves behind. */
  #advance() {
    const next = this.phase + this.down;
    this.phase = next % this.up;
    return Math.floor(next / this.up);
  }
}

/** @param {number} phases @param {number} half @param {number} cutoff of the input's half rate @returns {Float64Array[]} */
function weightsOf(phases, half, cutoff) {
  return Array.from({ length: phases }, (_, phase) => {
    const weights = Float64Array.from({ length: half * 2 }, (_unused, tap) => weightAt(tap - (half - 1) - phase / phases, half, cutoff));
    const sum = weights.reduce((one, other) => one + other, 0);
    return weights.map((weight) => weight / sum); // so that a constant stays what it is
  });
}

/** @param {number} x distance in input samples @param {number} half @param {number} cutoff */
function weightAt(x, half, cutoff) {
  const angle = Math.PI * cutoff * x;
  const sinc = x === 0 ? 1 : Math.sin(angle) / angle;
  return Math.abs(x) >= half ? 0 : sinc * Math.cos((Math.PI * x) / (2 * half)) ** 2;
}

/** @param {Float32Array} one @param {Float32Array} other */
function join(one, other) {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

/** @param {number} one @param {number} other @returns {number} */
function greatestCommonDivisor(one, other) {
  return other ? greatestCommonDivisor(other, one % other) : one;
}
