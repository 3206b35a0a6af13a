// @ts-check
// The sound of one call on the page: the element that plays it, and how loud both sides are. The levels stand as
// numbers in `body[data-input-level]` and `body[data-output-level]` and in the `meter`.

import { LevelMeter } from './level_meter.js';

const READ_EVERY_MS = 100;

export class PageSound {
  /**
   * Make this in the click: browsers play and measure only what a person has started.
   * @param {HTMLMeterElement} meterElement
   * @param {() => void} onBlockedChange `isBlocked` has changed
   */
  constructor(meterElement, onBlockedChange) {
    this.meterElement = meterElement;
    this.onBlockedChange = onBlockedChange;
    this.isBlocked = false;
    this.meter = new LevelMeter();
    this.element = document.createElement('audio');
    this.element.autoplay = true;
    this.element.setAttribute('playsinline', '');
    this.element.hidden = true;
    document.body.append(this.element);
    this.timer = setInterval(() => this.#publish(), READ_EVERY_MS);
  }

  /** @param {MediaStream} stream the microphone */
  listenTo(stream) {
    this.meter.listen('input', stream);
  }

  /** The louder side, for the orb. */
  loudest() {
    return Math.max(this.meter.read('input'), this.meter.read('output'));
  }

  /** Play, in a click, what the browser would not play by itself. */
  async play() {
    this.meter.wake();
    const isBlocked = await this.element.play().then(() => false, (error) => error.name === 'NotAllowedError');
    if (isBlocked === this.isBlocked) return;
    this.isBlocked = isBlocked;
    this.onBlockedChange();
  }

  /** Stop playing and measuring. */
  close() {
    clearInterval(this.timer);
    this.meter.close();
    this.element.srcObject = null;
    this.element.remove();
    setLevels(this.meterElement, 0, 0);
  }

  #publish() {
    if (this.element.srcObject instanceof MediaStream) this.#follow(this.element.srcObject);
    setLevels(this.meterElement, this.meter.read('input'), this.meter.read('output'));
  }

  /** Autoplay fails in silence, so a new stream is also played by hand. @param {MediaStream} stream */
  #follow(stream) {
    if (this.meter.listen('output', stream)) this.play();
  }
}

/** @param {HTMLMeterElement} meterElement @param {number} input @param {number} output */
function setLevels(meterElement, input, output) {
  document.body.dataset.inputLevel = input.toFixed(4);
  document.body.dataset.outputLevel = output.toFixed(4);
  meterElement.value = Math.min(meterElement.max, Math.sqrt(input));
}
