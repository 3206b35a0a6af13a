// @ts-check
// How long people wait for a reply: from the end of their speech, or from what they sent, to the first sound.
// Knows no document.

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {'good'|'fair'|'slow'} Grade */

const GOOD_BELOW_MS = 800;
const FAIR_BELOW_MS = 1_500;

export class ReplyDelay {
  /** @param {() => number} now clock in milliseconds */
  constructor(now = () => performance.now()) {
    this.now = now;
    /** @type {number|null} since when a reply is waited for */
    this.askedAtMs = null;
    /** @type {number[]} */
    this.delays = [];
  }

  /** Take one event in. Returns whether there is a new delay. @param {ServerEvent} event */
  take({ type }) {
    if (type === 'input_audio_buffer.speech_stopped' || type === 'local.asked') this.askedAtMs = this.now();
    if (type === 'input_audio_buffer.speech_started') this.askedAtMs = null;
    if (type !== 'output_audio_buffer.started' || this.askedAtMs === null) return false;
    this.delays.push(this.now() - this.askedAtMs);
    this.askedAtMs = null;
    return true;
  }

  /** Milliseconds; null before the first reply. */
  get lastMs() {
    return this.delays.at(-1) ?? null;
  }

  /** Milliseconds; null before the first reply. */
  get medianMs() {
    const sorted = [...this.delays].sort((one, other) => one - other);
    const middle = sorted.length >> 1;
    if (!sorted.length) return null;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}

/** @param {number} ms @returns {Grade} */
export function gradeOf(ms) {
  if (ms < GOOD_BELOW_MS) return 'good';
  return ms < FAIR_BELOW_MS ? 'fair' : 'slow';
}
