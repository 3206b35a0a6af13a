// @ts-check
// In the audio thread: play pieces of sound as they come, behind a small jitter buffer, and tell how much was played.
// Takes `{id, samples}`, `{id, isLast: true}` and `{clear: true}`; posts `{id, frames, isOver}`, frames of this id so far.

/** @type {{AudioWorkletProcessor: any, registerProcessor?: (name: string, processor: unknown) => void, sampleRate: number}} */
const scope = /** @type {any} */ (globalThis);

/** Held back before the first sound, and again after the network fell behind. */
const BUFFER_S = 0.06;
const REPORT_EVERY_S = 0.01;

/** @typedef {{id: string, frames: number, isOver: boolean}} Report */

/** What waits to be played, in order. Counts frames; knows no Web Audio. */
export class PlayQueue {
  /** @param {number} bufferFrames @param {number} reportFrames @param {(report: Report) => void} report */
  constructor(bufferFrames, reportFrames, report) {
    this.bufferFrames = bufferFrames;
    this.reportFrames = reportFrames;
    this.report = report;
    /** @type {{id: string, samples: Float32Array|null}[]} samples null: the end of an id */
    this.pieces = [];
    this.waiting = 0;
    this.offset = 0;
    this.isPlaying = false;
    this.played = 0;
    this.reported = 0;
  }

  /** Forget everything, at once. */
  clear() {
    this.pieces = [];
    this.waiting = this.offset = this.played = this.reported = 0;
    this.isPlaying = false;
  }

  /** @param {string} id @param {Float32Array} samples */
  push(id, samples) {
    this.pieces.push({ id, samples });
    this.waiting += samples.length;
    if (this.waiting >= this.bufferFrames) this.isPlaying = true;
  }

  /** Nothing more comes under this id: play what there is. @param {string} id */
  end(id) {
    this.pieces.push({ id, samples: null });
    this.isPlaying = true;
  }

  /** Fill a block with what is next, and with silence where there is nothing. @param {Float32Array} block */
  pull(block) {
    let filled = 0;
    while (this.isPlaying && filled < block.length && this.pieces.length) filled += this.#play(block, filled);
    block.fill(0, filled);
    if (!this.pieces.length) this.isPlaying = false;
  }

  /** @param {Float32Array} block @param {number} at @returns {number} frames played */
  #play(block, at) {
    const { id, samples } = this.pieces[0];
    if (!samples) {
      this.pieces.shift();
      this.report({ id, frames: this.played, isOver: true });
      this.played = this.reported = 0;
      return 0;
    }
    const part = samples.subarray(this.offset, this.offset + block.length - at);
    block.set(part, at);
    this.#count(id, part.length);
    this.offset += part.length;
    if (this.offset < samples.length) return part.length;
    this.pieces.shift();
    this.offset = 0;
    return part.length;
  }

  /** @param {string} id @param {number} frames */
  #count(id, frames) {
    const isFirst = this.played === 0;
    this.waiting -= frames;
    this.played += frames;
    if (!isFirst && this.played - this.reported < this.reportFrames) return;
    this.reported = this.played;
    this.report({ id, frames: this.played, isOver: false });
  }
}

if (scope.registerProcessor) {
  scope.registerProcessor(
    'playback',
    class extends scope.AudioWorkletProcessor {
      constructor() {
        super();
        const frames = (/** @type {number} */ seconds) => Math.round(seconds * scope.sampleRate);
        this.queue = new PlayQueue(frames(BUFFER_S), frames(REPORT_EVERY_S), (report) => this.port.postMessage(report));
        this.port.onmessage = (/** @type {MessageEvent} */ { data }) => {
          if (data.clear) this.queue.clear();
          else if (data.isLast) this.queue.end(data.id);
          else this.queue.push(data.id, data.samples);
        };
      }

      /** @param {unknown} _inputs @param {Float32Array[][]} outputs */
      process(_inputs, [channels]) {
        this.queue.pull(channels[0]);
        return true;
      }
    },
  );
}
