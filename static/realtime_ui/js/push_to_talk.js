// @ts-check
// Push to talk: the person says when their turn begins and ends, and the microphone is open only in between.
// The server is asked to stop looking for turns itself, and what it answers holds. Emits `change` and `note`
// (CustomEvent, `detail` is `{key}` for words). Knows no document.

/** Shorter than this nobody has said anything. */
export const SHORTEST_HOLD_MS = 250;

/** @typedef {'off'|'asked'|'ready'|'holding'} TalkMode asked: the server has not answered yet */
/**
 * @typedef {object} TalkParts
 * @property {(event: import('./events.js').ClientEvent) => unknown} send
 * @property {(isOpen: boolean) => void} openMicrophone
 * @property {() => void} stopReply
 * @property {() => void} asked the person's turn is over and a reply on its way
 * @property {() => number} now
 */

export class PushToTalk extends EventTarget {
  /** @type {TalkMode} */
  mode = 'off';
  #isWanted = false;
  #isLive = false;
  /** @type {unknown} how the server found turns before it was asked to stop */
  #granted = null;
  #heldSinceMs = 0;

  /** @param {TalkParts} parts */
  constructor(parts) {
    super();
    this.parts = parts;
  }

  /** Whether the person's words go out just now. */
  get isOpen() {
    return this.mode === 'off' || this.mode === 'holding';
  }

  /** Another session, which knows nothing yet. */
  reset() {
    this.mode = 'off';
    this.#isLive = false;
    this.#granted = null;
  }

  /** The session is there: ask for what is wanted. */
  begin() {
    this.#isLive = true;
    if (this.#isWanted && this.mode === 'off') this.#ask(null, 'asked');
    else this.parts.openMicrophone(this.isOpen);
  }

  /** @param {boolean} isWanted */
  want(isWanted) {
    this.#isWanted = isWanted;
    if (!this.#isLive || isWanted === (this.mode !== 'off')) return;
    if (!isWanted && !this.#granted) return this.#note('push_to_talk_only');
    this.#ask(isWanted ? null : this.#granted, isWanted ? 'asked' : 'ready');
  }

  /** Follow what the server says of the session. @param {import('./events.js').ServerEvent} event */
  apply(event) {
    const detection = event.session?.audio?.input?.turn_detection;
    if (detection === undefined) return;
    if (detection) this.#granted = detection;
    const before = this.mode;
    if (!detection) this.#enter(before === 'holding' ? before : 'ready');
    else this.#enter('off');
    if (detection && before === 'asked') this.#note('push_to_talk_refused');
  }

  /** The person begins to speak: what is being said to them stops. */
  press() {
    if (this.mode !== 'ready') return;
    this.#heldSinceMs = this.parts.now();
    this.parts.send({ type: 'input_audio_buffer.clear' });
    this.parts.stopReply();
    this.#enter('holding');
  }

  /** The person has finished; a turn that was too short to hold a word is none. */
  release() {
    if (this.mode !== 'holding') return;
    this.#enter('ready');
    if (this.parts.now() - this.#heldSinceMs < SHORTEST_HOLD_MS) return this.#note('hold_longer');
    this.parts.send({ type: 'input_audio_buffer.commit' });
    this.parts.send({ type: 'response.create' });
    this.parts.asked();
  }

  /** @param {unknown} detection @param {TalkMode} mode until the server answers */
  #ask(detection, mode) {
    this.#enter(mode);
    this.parts.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection: detection } } } });
  }

  /** @param {TalkMode} mode */
  #enter(mode) {
    if (mode === this.mode) return;
    this.mode = mode;
    if (this.#isLive) this.parts.openMicrophone(this.isOpen);
    this.dispatchEvent(new Event('change'));
  }

  /** @param {string} key */
  #note(key) {
    this.dispatchEvent(new CustomEvent('note', { detail: { key } }));
  }
}
