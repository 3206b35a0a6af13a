// @ts-check
// The orb: a canvas that breathes with the voices. Size tells the level, colour (`--voice` of the body) the state;
// the headline says the same in words. Still under reduced motion, asleep while the tab is hidden.

const LAYERS = [
  { reach: 0.96, alpha: 0.1, gain: 0.3, speed: 0.5 },
  { reach: 0.8, alpha: 0.18, gain: 0.26, speed: -0.7 },
  { reach: 0.62, alpha: 1, gain: 0.16, speed: 0.9 },
];
const POINTS = 72;
const CALM_REDRAW_MS = 250;
const LOUDEST_RMS = 0.25;

export class Orb {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => number} readLevel RMS, 0 to 1
   */
  constructor(canvas, readLevel) {
    this.canvas = canvas;
    this.readLevel = readLevel;
    this.shown = 0;
    this.colour = '';
    this.calm = matchMedia('(prefers-reduced-motion: reduce)');
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.recolour());
    this.recolour();
    this.#loop(0);
  }

  /** Read the colour again: the state has changed. */
  recolour() {
    this.colour = getComputedStyle(document.body).getPropertyValue('--voice').trim() || 'teal';
  }

  /** @param {number} nowMs */
  #loop(nowMs) {
    const target = Math.min(1, Math.sqrt(this.readLevel() / LOUDEST_RMS));
    this.shown += (target - this.shown) * 0.25;
    this.#draw(this.calm.matches ? 0 : nowMs / 1000);
    if (this.calm.matches || document.hidden) setTimeout(() => this.#loop(performance.now()), CALM_REDRAW_MS);
    else requestAnimationFrame((ms) => this.#loop(ms));
  }

  #resize() {
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = clientWidth * devicePixelRatio;
    this.canvas.height = clientHeight * devicePixelRatio;
    this.#draw(0);
  }

  /** @param {number} seconds */
  #draw(seconds) {
    const pen = this.canvas.getContext('2d');
    const { width, height } = this.canvas;
    if (!pen || document.hidden || !width) return;
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = this.colour;
    for (const layer of LAYERS) {
      pen.globalAlpha = layer.alpha;
      outline(pen, { x: width / 2, y: height / 2, radius: (Math.min(width, height) / 2) * 0.8 }, layer, this.shown, seconds);
      pen.fill();
    }
    shine(pen, width, height, this.shown);
  }
}

/**
 * Trace one layer: a circle whose edge is moved by a few sines.
 * @param {CanvasRenderingContext2D} pen
 * @param {{x: number, y: number, radius: number}} circle
 * @param {{reach: number, gain: number, speed: number}} layer
 * @param {number} level
 * @param {number} seconds
 */
function outline(pen, circle, layer, level, seconds) {
  pen.beginPath();
  const breath = 0.012 * Math.sin(seconds * 1.3);
  for (let index = 0; index <= POINTS; index += 1) {
    const angle = (index / POINTS) * 2 * Math.PI;
    const time = seconds * layer.speed * 2;
    const wave = Math.sin(3 * angle + time * 1.7) + 0.6 * Math.sin(5 * angle - time * 2.3) + 0.4 * Math.sin(2 * angle + time);
    const reach = layer.reach + breath + layer.gain * level * (0.55 + 0.22 * wave) + 0.012 * wave;
    pen.lineTo(circle.x + Math.cos(angle) * circle.radius * reach, circle.y + Math.sin(angle) * circle.radius * reach);
  }
  pen.closePath();
}

/** A soft light from above gives the core its body. @param {CanvasRenderingContext2D} pen @param {number} width @param {number} height @param {number} level */
function shine(pen, width, height, level) {
  const radius = Math.min(width, height) * 0.25;
  const light = pen.createRadialGradient(width / 2, height / 2 - radius * 0.6, 0, width / 2, height / 2 - radius * 0.3, radius * (1 + level * 0.3));
  light.addColorStop(0, 'rgba(255, 255, 255, 0.34)');
  light.addColorStop(1, 'rgba(255, 255, 255, 0)');
  pen.globalAlpha = 1;
  pen.globalCompositeOperation = 'source-atop';
  pen.fillStyle = light;
  pen.fillRect(0, 0, width, height);
  pen.globalCompositeOperation = 'source-over';
}
