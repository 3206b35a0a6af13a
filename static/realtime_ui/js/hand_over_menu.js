// @ts-check
// The way from one assistant to another during a call: a button that opens a list of those that the one at work may hand
// over to. Reads in `[data-part=panel]`: `button[popovertarget=hand-over]`, there only while there is somebody to go on
// with, and `#hand-over` with `[data-part=hand-over-choices]`.

/** @typedef {{slug: string, name: string}} Choice */

export class HandOverMenu {
  /**
   * @param {ParentNode} root
   * @param {(slug: string) => void} onChoice
   */
  constructor(root, onChoice) {
    this.opener = /** @type {HTMLButtonElement} */ (root.querySelector('[popovertarget=hand-over]'));
    this.list = /** @type {HTMLElement} */ (root.querySelector('#hand-over'));
    this.places = /** @type {HTMLElement} */ (root.querySelector('[data-part=hand-over-choices]'));
    this.onChoice = onChoice;
    this.shown = '';
  }

  get isOffered() {
    return !this.opener.hidden;
  }

  /** Offer these, or nothing at all. @param {Choice[]} choices */
  show(choices) {
    const wanted = choices.map(({ slug }) => slug).join();
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.list.hidePopover(); // gives the focus back to what opened it
    const hadFocus = document.activeElement === this.opener;
    this.opener.hidden = choices.length === 0;
    if (hadFocus && this.opener.hidden) document.getElementById('headline')?.focus();
    this.places.replaceChildren(...choices.map((choice) => this.#button(choice)));
  }

  /** @param {Choice} choice */
  #button({ slug, name }) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'button';
    button.textContent = name;
    button.addEventListener('click', () => {
      this.list.hidePopover();
      this.onChoice(slug);
    });
    return button;
  }
}
