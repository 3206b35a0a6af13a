// @ts-check
// One line about the microphone: what has just happened to it, or that nothing is heard. Writes into a live region.

const SHOWN_MS = 10_000;

export class MicrophoneNote {
  #news = '';
  #standing = '';
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
  }

  /** Say what has happened, for a while. @param {string} text */
  say(text) {
    clearTimeout(this.#timer);
    this.#news = text;
    this.#timer = setTimeout(() => this.say(''), SHOWN_MS);
    this.#show();
  }

  /** Say what holds, until it does no more; empty for nothing. @param {string} text */
  stand(text) {
    this.#standing = text;
    this.#show();
  }

  clear() {
    this.stand('');
    this.say('');
    clearTimeout(this.#timer);
  }

  #show() {
    const text = this.#news || this.#standing;
    if (this.element.textContent !== text) this.element.textContent = text;
  }
}
