// @ts-check
// The connection's figures while a call is live, every five seconds: all of them in the event log's drawer, and a hint
// beside the conversation when it is bad. Reads `[data-part=connection]` where there is a drawer, and
// `[data-part=connection-hint]`.

import { isShaky, readFigures } from './connection_figures.js';

/** @typedef {import('./transport.js').Transport} Transport */
/** @typedef {import('./words.js').Words} Words */
/** @typedef {import('./connection_figures.js').Figures} Figures */

export const READ_EVERY_MS = 5_000;
const NAMES = { webrtc: 'WebRTC', websocket: 'WebSocket' };

export class ConnectionWatch {
  /**
   * @param {ParentNode} root
   * @param {Words} words
   * @param {() => Transport|null} transport the live one, if any
   */
  constructor(root, words, transport) {
    this.details = root.querySelector('[data-part=connection]');
    this.hint = /** @type {HTMLElement} */ (root.querySelector('[data-part=connection-hint]'));
    this.words = words;
    this.transport = transport;
    /** @type {Figures|undefined} */
    this.figures = undefined;
    setInterval(() => this.read(), READ_EVERY_MS);
  }

  async read() {
    const transport = this.transport();
    const report = await transport?.stats().catch(() => null);
    this.figures = report ? readFigures(report.values(), this.figures?.counted) : undefined;
    if (this.details) this.details.textContent = transport ? this.#line(transport) : '';
    this.hint.textContent = this.figures && isShaky(this.figures) ? this.words('connection_shaky') : '';
  }

  /** @param {Transport} transport */
  #line({ kind }) {
    const { rttMs = null, lossPercent = null } = this.figures ?? {};
    const name = NAMES[kind];
    if (rttMs === null) return this.words('connection_by', { name });
    return this.words('connection_figures', { name, rtt: rttMs, loss: lossPercent ?? '–' });
  }
}
