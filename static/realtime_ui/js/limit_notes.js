// @ts-check
// Say in time that a call reaches its longest time: each minute, from five before the end. Emits `note` (CustomEvent,
// `detail` is `{key, values}` for words). Knows no document.

const FIRST_MIN = 5;
const MS_A_MINUTE = 60_000;

export class LimitNotes extends EventTarget {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #nextMin = FIRST_MIN;

  /** Another call, or none. */
  reset() {
    clearTimeout(this.#timer);
    this.#nextMin = FIRST_MIN;
  }

  /** How long the call may still last; null for nobody knows. @param {number|null|undefined} secondsLeft */
  take(secondsLeft) {
    clearTimeout(this.#timer);
    if (secondsLeft === null || secondsLeft === undefined) return;
    const leftMs = secondsLeft * 1000;
    const minute = Math.min(this.#nextMin, Math.floor(leftMs / MS_A_MINUTE));
    if (minute < 1) return;
    this.#timer = setTimeout(() => this.#tell(minute), leftMs - minute * MS_A_MINUTE);
  }

  /** @param {number} minute */
  #tell(minute) {
    this.#nextMin = minute - 1;
    const detail = minute === 1 ? { key: 'ends_soon_one', values: {} } : { key: 'ends_soon', values: { n: minute } };
    this.dispatchEvent(new CustomEvent('note', { detail }));
    this.take(minute * 60);
  }
}
