// @ts-check
// The conversation on the page: one `article` for each turn, in the model's order. Sticks to the bottom until
// the person scrolls up. Reads `[data-part=turns]`, `[data-part=jump]`; all text goes in as text, never as HTML.

import { speaker } from './transcript_file.js';
import { textOf } from './transcript.js';

/** @typedef {import('./transcript.js').Turn} Turn */
/** @typedef {import('./words.js').Words} Words */

const NEAR_BOTTOM_PX = 48;

export class TranscriptPanel {
  /**
   * @param {HTMLElement} root
   * @param {Words} words
   * @param {() => string} agentName
   */
  constructor(root, words, agentName) {
    this.list = /** @type {HTMLElement} */ (root.querySelector('[data-part=turns]'));
    this.jump = /** @type {HTMLElement} */ (root.querySelector('[data-part=jump]'));
    this.words = words;
    this.agentName = agentName;
    /** @type {Map<string, HTMLElement>} */
    this.articles = new Map();
    this.sticks = true;
    this.list.addEventListener('scroll', () => this.#noteScroll());
    // A phone's keyboard takes room away from below.
    new ResizeObserver(() => this.sticks && this.#toBottom()).observe(this.list);
    this.jump.addEventListener('click', () => this.#toBottom());
  }

  /** @param {readonly Turn[]} turns in order */
  show(turns) {
    const known = new Set(turns.map((turn) => turn.id));
    for (const [id, article] of this.articles) {
      if (!known.has(id)) article.remove();
      if (!known.has(id)) this.articles.delete(id);
    }
    turns.forEach((turn, index) => this.#place(this.#article(turn), index));
    if (this.sticks) this.#toBottom();
    else this.#noteScroll();
  }

  /** @param {HTMLElement} article @param {number} index */
  #place(article, index) {
    const there = this.list.children[index] ?? null;
    if (there !== article) this.list.insertBefore(article, there);
  }

  /** @param {Turn} turn */
  #article(turn) {
    let article = this.articles.get(turn.id);
    if (!article) {
      article = createArticle(turn, speaker(turn, this.words, this.agentName()));
      this.articles.set(turn.id, article);
    }
    const text = this.#text(turn);
    const mark = turn.mark ? this.words(`mark_${turn.mark}`) : '';
    article.dataset.who = turn.who;
    article.dataset.status = turn.status;
    setText(article, '.turn__text', text);
    setText(article, '.turn__mark', mark);
    return article;
  }

  /** @param {Turn} turn */
  #text(turn) {
    const text = textOf(turn);
    if (turn.who === 'tool') return this.words('looked_up', { tool: text });
    if (text) return text;
    if (turn.who === 'assistant') return '…';
    return this.words(turn.status === 'failed' ? 'not_transcribed' : 'transcribing');
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

/** @param {Turn} turn @param {string} who */
function createArticle(turn, who) {
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
  article.append(head, paragraph('turn__text'), paragraph('turn__mark'));
  return article;
}

/** @param {string} className */
function paragraph(className) {
  const element = document.createElement('p');
  element.className = className;
  return element;
}

/** @param {HTMLElement} article @param {string} selector @param {string} text */
function setText(article, selector, text) {
  const element = /** @type {HTMLElement} */ (article.querySelector(selector));
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}
