// @ts-check
// The conversation on the page: one `article` for each turn, in the model's order. Sticks to the bottom until
// the person scrolls up. Reads `[data-part=turns]`, `[data-part=jump]`; all text goes in as text, never as HTML.

import { speaker, wordsOf } from './transcript_file.js';

/** @typedef {import('./transcript.js').Turn} Turn */
/** @typedef {import('./transcript.js').Transcript} Transcript */
/** @typedef {import('./words.js').Words} Words */
/** @typedef {{article: HTMLElement, text: HTMLElement, mark: HTMLElement}} Row */

const NEAR_BOTTOM_PX = 48;

export class TranscriptPanel {
  /**
   * @param {HTMLElement} root
   * @param {Words} words
   */
  constructor(root, words) {
    this.list = /** @type {HTMLElement} */ (root.querySelector('[data-part=turns]'));
    this.jump = /** @type {HTMLElement} */ (root.querySelector('[data-part=jump]'));
    this.words = words;
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    this.sticks = true;
    this.list.addEventListener('scroll', () => this.#noteScroll());
    // A phone's keyboard takes room away from below.
    new ResizeObserver(() => this.sticks && this.#toBottom()).observe(this.list);
    this.jump.addEventListener('click', () => this.#toBottom());
  }

  /** @param {Transcript} transcript */
  show(transcript) {
    const turns = transcript.turns();
    this.#forgetAllBut(new Set(turns.map((turn) => turn.id)));
    let there = this.list.firstElementChild;
    for (const turn of turns) {
      const { article } = this.#row(turn, transcript);
      if (article === there) there = there.nextElementSibling;
      else this.list.insertBefore(article, there);
    }
    if (this.sticks) this.#toBottom();
    else this.#noteScroll();
  }

  /** @param {Set<string>} known */
  #forgetAllBut(known) {
    for (const [id, row] of this.rows) {
      if (known.has(id)) continue;
      row.article.remove();
      this.rows.delete(id);
    }
  }

  /** @param {Turn} turn @param {Transcript} transcript */
  #row(turn, transcript) {
    let row = this.rows.get(turn.id);
    if (!row) {
      row = createRow(turn, speaker(turn, this.words));
      this.rows.set(turn.id, row);
    }
    setData(row.article, 'who', turn.who);
    setData(row.article, 'status', turn.status);
    setText(row.text, wordsOf(turn, transcript, this.words) || this.#waiting(turn));
    setText(row.mark, turn.mark ? this.words(`mark_${turn.mark}`) : '');
    return row;
  }

  /** @param {Turn} turn */
  #waiting(turn) {
    return turn.who === 'user' ? this.words('transcribing') : '…';
  }

  #noteScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    this.sticks = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
    this.jump.hidden = this.sticks;
  }

  #toBottom() {
    this.list.scrollTop = this.list.scrollHeight;
    this.sticks = true;
    this.jump.hidden = true;
  }
}

/** @param {Turn} turn @param {string} who @returns {Row} */
function createRow(turn, who) {
  const article = document.createElement('article');
  article.className = 'turn';
  const head = document.createElement('header');
  head.className = 'turn__head';
  const name = document.createElement('span');
  name.className = 'turn__who';
  name.textContent = who;
  const time = document.createElement('time');
  time.dateTime = new Date(turn.atMs).toISOString();
  time.textContent = new Date(turn.atMs).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  head.append(name, ' ', time);
  const row = { article, text: paragraph('turn__text'), mark: paragraph('turn__mark') };
  article.append(head, row.text, row.mark);
  return row;
}

/** @param {string} className */
function paragraph(className) {
  const element = document.createElement('p');
  element.className = className;
  return element;
}

/** What stays the same is not written: with hundreds of turns that is nearly all. @param {HTMLElement} element @param {string} name @param {string} value */
function setData(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
  if (element.hidden === Boolean(text)) element.hidden = !text;
}
