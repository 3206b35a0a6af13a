// @ts-check
// In the audio thread: hand on what the microphone hears, in pieces of about ten milliseconds. Posts Float32Array,
// one channel, at the context's rate. A muted track comes as silence, so that the other side hears that it is quiet.

/** @type {{AudioWorkletProcessor: any, registerProcessor: (name: string, processor: unknown) => void, sampleRate: number}} */
const scope = /** @type {any} */ (globalThis);

const PIECE_S = 0.01;

class Capture extends scope.AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(Math.round(scope.sampleRate * PIECE_S));
    this.filled = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    if (channels[0]) this.#take(channels[0]);
    return true;
  }

  /** @param {Float32Array} samples */
  #take(samples) {
    for (const sample of samples) {
      this.piece[this.filled] = sample;
      this.filled += 1;
      if (this.filled < this.piece.length) continue;
      this.port.postMessage(this.piece);
      this.filled = 0;
    }
  }
}

scope.registerProcessor('capture', Capture);
