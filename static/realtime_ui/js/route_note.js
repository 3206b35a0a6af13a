// @ts-check
// Say that a call goes by the second way, and why, and offer the first one again. Reads `[data-part=route-note]` and
// `button[data-part=try-webrtc]`.

/** @typedef {import('./routes.js').Routes} Routes */

export class RouteNote {
  /**
   * @param {HTMLElement} root
   * @param {Routes} routes
   * @param {import('./words.js').Words} words
   */
  constructor(root, routes, words) {
    this.note = /** @type {HTMLElement} */ (root.querySelector('[data-part=route-note]'));
    this.button = /** @type {HTMLButtonElement} */ (root.querySelector('[data-part=try-webrtc]'));
    this.routes = routes;
    this.words = words;
    this.inCall = false;
    this.button.addEventListener('click', () => routes.forget());
    routes.addEventListener('change', () => this.show(this.inCall));
    this.show(false);
  }

  /** @param {boolean} inCall the note is about a call; the way back is always there */
  show(inCall) {
    const { why } = this.routes;
    this.inCall = inCall;
    const text = inCall && why ? this.words(`fallback_${why}`) : '';
    if (this.note.textContent !== text) this.note.textContent = text;
    this.button.hidden = why !== 'broke' && why !== 'unreachable';
  }
}
