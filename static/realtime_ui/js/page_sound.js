// @ts-check
// The sound of one call on the page: the element that plays it, and how loud both sides are. The levels stand as
// numbers in `body[data-input-level]` and `body[data-output-level]` and in the `meter`.

import { LevelMeter } from './level_meter.js';

const READ_EVERY_MS = 100;

export class PageSound {
  #closing = new AbortController();

  /**
   * Make this in the click: browsers play and measure only what a person has started.
   * @param {HTMLMeterElement} meterElement
   * @param {import('./preferences.js').Preferences} preferences
   * @param {{onBlockedChange: () => void, onInput: (level: number) => void}} told `isBlocked` has changed; how loud the person is
   */
  constructor(meterElement, preferences, { onBlockedChange, onInput }) {
    this.meterElement = meterElement;
    this.preferences = preferences;
    this.onBlockedChange = onBlockedChange;
    this.onInput = onInput;
    this.isBlocked = false;
    this.hasPlayed = false;
    this.meter = new LevelMeter();
    this.element = document.createElement('audio');
    this.element.autoplay = true;
    this.element.setAttribute('playsinline', '');
    this.element.hidden = true;
    this.#adjust();
    const { signal } = this.#closing;
    preferences.addEventListener('change', () => this.#adjust(), { signal });
    this.element.addEventListener('pause', () => this.play(), { signal }); // headphones were pulled out
    document.addEventListener('visibilitychange', () => document.hidden || this.#comeBack(), { signal });
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
    this.hasPlayed ||= !isBlocked;
    if (isBlocked === this.isBlocked) return;
    this.isBlocked = isBlocked;
    this.onBlockedChange();
  }

  /** Stop playing and measuring. */
  close() {
    this.#closing.abort();
    clearInterval(this.timer);
    this.meter.close();
    this.element.srcObject = null;
    this.element.remove();
    setLevels(this.meterElement, 0, 0);
  }

  /** Phones stop the sound of a page that was away, and some want a tap before it goes on. */
  #comeBack() {
    if (this.element.srcObject) void this.play();
  }

  #publish() {
    if (this.element.srcObject instanceof MediaStream) this.#follow(this.element.srcObject);
    const input = this.meter.read('input');
    setLevels(this.meterElement, input, this.meter.read('output'));
    this.onInput(input);
  }

  /** As loud as was chosen, and where; a speaker that has gone leaves it to the system. */
  #adjust() {
    const { element, preferences } = this;
    element.volume = preferences.get('volume') / 100;
    element.muted = preferences.get('silent');
    const speaker = preferences.get('speaker');
    if (element.sinkId !== undefined && element.sinkId !== speaker) element.setSinkId(speaker).catch(() => element.setSinkId(''));
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
