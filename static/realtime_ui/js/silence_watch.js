// @ts-check
// Whether a person who should be heard is not: told by levels alone. Knows no document, timer or microphone.

export const UNHEARD_AFTER_MS = 5_000;
/** Below this (RMS; -60 dB) no room with somebody in it is, until noise suppression has learnt it. */
export const QUIET_RMS = 0.001;
/** Nothing at all: a microphone that was switched off at itself. Whoever was heard before may pause. */
export const DEAD_RMS = 0.00001;
const HEARD_RMS = 0.01;

export class SilenceWatch {
  #sinceMs = 0;
  #wasHeard = false;

  /**
   * Take the level of now.
   * @param {number} level RMS, 0 to 1
   * @param {boolean} isListening somebody should be heard just now
   * @param {number} nowMs
   * @returns {boolean} there has been silence for too long
   */
  note(level, isListening, nowMs) {
    this.#wasHeard ||= level > HEARD_RMS;
    const isSilent = isListening && level < (this.#wasHeard ? DEAD_RMS : QUIET_RMS);
    if (!isSilent || !this.#sinceMs) this.#sinceMs = nowMs;
    return isSilent && nowMs - this.#sinceMs >= UNHEARD_AFTER_MS;
  }

  /** Another microphone, or another call. */
  forget() {
    this.#sinceMs = 0;
    this.#wasHeard = false;
  }
}
