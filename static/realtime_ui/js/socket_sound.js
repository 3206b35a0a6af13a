// @ts-check
// Microphone and loudspeaker of a call over WebSocket: what WebRTC does by itself. Sound is worked on in the browser's
// audio thread, at the rate of the device; only here does it meet that of the protocol.

import { decodePcm, encodePcm, PCM_RATE_HZ } from './pcm.js';
import { Resampler } from './resampler.js';

/** Of one event that is sent: short, since it waits for its last sample. */
const CHUNK_S = 0.02;
const MS_PER_S = 1000;

/** @typedef {{captureUrl: string, playbackUrl: string}} WorkletUrls */

export class SocketSound {
  #context = new AudioContext({ latencyHint: 'interactive' });
  /** @type {MediaStreamAudioSourceNode|null} */
  #microphone = null;
  /** @type {AudioWorkletNode|null} */
  #capture = null;
  /** @type {AudioWorkletNode|null} */
  #player = null;
  /** @type {Map<string, Resampler>} one for each piece of speech: they do not follow one another without a seam */
  #resamplers = new Map();

  /**
   * Play through an element, so that volume, loudspeaker and permission to play are those of every call.
   * @param {HTMLAudioElement} element
   * @param {(report: {id: string, playedMs: number, isOver: boolean}) => void} onPlayed
   */
  constructor(element, onPlayed) {
    this.element = element;
    this.onPlayed = onPlayed;
    this.wake = () => void (this.#context.state === 'suspended' && this.#context.resume());
    this.#context.addEventListener('statechange', this.wake); // a call of the system is over
    element.addEventListener('play', this.wake); // a press on Play sound lets both play
  }

  /** @param {WorkletUrls} urls @param {(base64: string) => void} onChunk takes what the microphone hears, once there is one */
  async open(urls, onChunk) {
    const context = this.#context;
    await Promise.all([context.audioWorklet.addModule(urls.captureUrl), context.audioWorklet.addModule(urls.playbackUrl)]);
    if (context.state === 'closed') return;
    const player = new AudioWorkletNode(context, 'playback', { numberOfInputs: 0, outputChannelCount: [1] });
    player.port.onmessage = ({ data: { id, frames, isOver } }) => this.onPlayed({ id, playedMs: (frames * MS_PER_S) / context.sampleRate, isOver });
    const loudspeaker = context.createMediaStreamDestination();
    player.connect(loudspeaker);
    this.element.srcObject = loudspeaker.stream;
    this.#player = player;
    this.#capture = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
    this.#capture.port.onmessage = chunked(new Resampler(context.sampleRate, PCM_RATE_HZ), onChunk);
  }

  /** Hear a microphone from now on, in the place of the one before. @param {MediaStreamTrack} track */
  listen(track) {
    if (!this.#capture) return;
    this.#microphone?.disconnect();
    this.#microphone = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#microphone.connect(this.#capture);
  }

  /** Returns how many samples there are, at PCM_RATE_HZ. @param {string} id @param {string} base64 */
  play(id, base64) {
    const samples = decodePcm(base64);
    let resampler = this.#resamplers.get(id);
    if (!resampler) this.#resamplers.set(id, (resampler = new Resampler(PCM_RATE_HZ, this.#context.sampleRate)));
    const ready = resampler.push(samples);
    this.#player?.port.postMessage({ id, samples: ready }, [ready.buffer]);
    return samples.length;
  }

  /** @param {string} id */
  end(id) {
    this.#resamplers.delete(id);
    this.#player?.port.postMessage({ id, isLast: true });
  }

  clear() {
    this.#resamplers.clear();
    this.#player?.port.postMessage({ clear: true });
  }

  close() {
    this.element.removeEventListener('play', this.wake);
    if (this.#context.state !== 'closed') void this.#context.close();
  }
}

/** Make chunks of one length out of pieces of another rate. @param {Resampler} resampler @param {(base64: string) => void} onChunk */
function chunked(resampler, onChunk) {
  const chunk = new Float32Array(PCM_RATE_HZ * CHUNK_S);
  let filled = 0;
  return (/** @type {MessageEvent<Float32Array>} */ { data }) => {
    for (const sample of resampler.push(data)) {
      chunk[filled] = sample;
      filled += 1;
      if (filled < chunk.length) continue;
      filled = 0;
      onChunk(encodePcm(chunk));
    }
  };
}
