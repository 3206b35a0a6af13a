// @ts-check
// The conversation on the page, from a call's first event on: the list of turns, what can be taken away from it, and
// what is read aloud of it. Reads in `[data-part=panel]` what TranscriptPanel reads, `button[data-save]` and
// `[data-part=read-aloud]`.

import { ReplyReader } from './reply_reader.js';
import { saveFile } from './save_file.js';
import { textOf, Transcript } from './transcript.js';
import { transcriptJson, transcriptText } from './transcript_file.js';
import { TranscriptPanel } from './transcript_panel.js';

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {import('./words.js').Words} Words */
/** @typedef {'copy'|'txt'|'json'} SaveKind */

const REDRAW_MS = 30;

export class ConversationView {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /**
   * @param {HTMLElement} root
   * @param {Words} words
   * @param {{callId: () => string, readsAloud: () => boolean}} asked readsAloud: whether a screen reader is to be given the replies
   */
  constructor(root, words, { callId, readsAloud }) {
    this.words = words;
    this.callId = callId;
    this.readsAloud = readsAloud;
    this.panel = new TranscriptPanel(root, words);
    this.readAloud = /** @type {HTMLElement} */ (root.querySelector('[data-part=read-aloud]'));
    this.reader = new ReplyReader();
    this.transcript = new Transcript();
    for (const button of root.querySelectorAll('button[data-save]')) {
      if (button instanceof HTMLButtonElement) button.addEventListener('click', () => this.#save(button));
    }
  }

  get hasTurns() {
    return this.transcript.turns().length > 0;
  }

  /** Who is talked to now; empty before the first call. */
  get agent() {
    return { slug: this.transcript.slug, name: this.transcript.agent };
  }

  /** A new call begins. @param {string} agent its slug @param {Readonly<Record<string, string>>} agents names by slug */
  begin(agent, agents) {
    this.transcript = new Transcript(Date.now, { agent, agents });
    this.reader = new ReplyReader();
    this.readAloud.replaceChildren();
    this.panel.show(this.transcript);
  }

  /** @param {ServerEvent} event */
  take(event) {
    if (this.transcript.apply(event)) this.#soon();
  }

  /** What was said so far, in order. */
  said() {
    return this.transcript.turns().map((turn) => ({ who: turn.who, text: textOf(turn) }));
  }

  /** Change the conversation otherwise than by an event. @param {(transcript: Transcript) => void} change */
  change(change) {
    change(this.transcript);
    this.#soon();
  }

  /** The call is over. */
  close() {
    this.transcript.close();
    this.#draw();
  }

  /** @param {'txt'|'json'} kind */
  download(kind) {
    saveFile(`${this.callId() || 'conversation'}.${kind}`, kind === 'json' ? 'application/json' : 'text/plain', this.#file(kind));
  }

  /** @param {HTMLButtonElement} button */
  async #save(button) {
    const kind = /** @type {SaveKind} */ (button.dataset.save);
    if (kind !== 'copy') return this.download(kind);
    await navigator.clipboard.writeText(this.#file('txt'));
    const plain = button.textContent;
    button.textContent = this.words('copied');
    button.addEventListener('blur', () => (button.textContent = plain), { once: true });
  }

  /** @param {'txt'|'json'} kind */
  #file(kind) {
    const about = { agent: this.transcript.agent, callId: this.callId() };
    return (kind === 'json' ? transcriptJson : transcriptText)(this.transcript, this.words, about);
  }

  #soon() {
    this.#timer ??= setTimeout(() => this.#draw(), REDRAW_MS);
  }

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.panel.show(this.transcript);
    for (const text of this.reader.fresh(this.transcript.turns())) if (this.readsAloud()) this.#read(text);
  }

  /** @param {string} text */
  #read(text) {
    const line = document.createElement('p');
    line.textContent = text;
    this.readAloud.replaceChildren(line);
  }
}
