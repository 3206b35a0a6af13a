// @ts-check
// Which replies a screen reader is to be given: each one once, and only when it is finished. Knows no document.

import { textOf } from './transcript.js';

/** @typedef {import('./transcript.js').Turn} Turn */

export class ReplyReader {
  constructor() {
    /** @type {Set<string>} ids of replies that were given, or were there before anybody asked */
    this.given = new Set();
  }

  /**
   * Return the words of the replies that were finished since the last time.
   * @param {readonly Turn[]} turns
   */
  fresh(turns) {
    const finished = turns.filter((turn) => turn.who === 'assistant' && turn.status === 'done' && !this.given.has(turn.id));
    for (const turn of finished) this.given.add(turn.id);
    return finished.map(textOf);
  }
}
