// @ts-check
// How loud the person and the assistant are right now (RMS, 0 to 1). Web Audio only; knows no document.

/** @typedef {'input'|'output'} Side */

export class LevelMeter {
  #context = new AudioContext();
  /** @type {Map<Side, {stream: MediaStream, source: MediaStreamAudioSourceNode, analyser: AnalyserNode, samples: Float32Array<ArrayBuffer>}>} */
  #taps = new Map();

  /**
   * Measure a stream on one side; the same stream again changes nothing. Returns whether it is a new one.
   * @param {Side} side
   * @param {MediaStream} stream
   */
  listen(side, stream) {
    if (this.#taps.get(side)?.stream === stream || !stream.getAudioTracks().length) return false;
    this.#taps.get(side)?.source.disconnect();
    const source = this.#context.createMediaStreamSource(stream);
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    source.connect(analyser);
    this.#taps.set(side, { stream, source, analyser, samples: new Float32Array(analyser.fftSize) });
    return true;
  }

  constructor() {
    this.#context.addEventListener('statechange', () => this.wake());
  }

  /** Go on where the browser had waited for a click, or a call of the system is over; one that goes on is not disturbed. */
  wake() {
    if (this.#context.state === 'suspended') this.#context.resume();
  }

  /** The level of a side; 0 when nothing is measured. @param {Side} side */
  read(side) {
    const tap = this.#taps.get(side);
    if (!tap) return 0;
    tap.analyser.getFloatTimeDomainData(tap.samples);
    let sum = 0;
    for (const sample of tap.samples) sum += sample * sample;
    return Math.sqrt(sum / tap.samples.length);
  }

  /** Stop measuring. */
  close() {
    this.#taps.clear();
    this.#context.close();
  }
}
