// @ts-check
// Get a sound stream for a call: the microphone, or silence for those who only type. Whoever asks must free it.

import { MicrophoneError, problemOf } from './microphone_errors.js';

/** @typedef {{stream: MediaStream, free: () => void, onLost?: () => void}} SoundSource onLost: set by whoever uses it; called when there is no microphone any more */
/** @typedef {{deviceId: string, echoCancellation: boolean, noiseSuppression: boolean, autoGainControl: boolean}} MicrophoneWish an empty device is the system's choice */

/** What browsers say of a device that was chosen once and is not there today. */
const GONE = new Set(['OverconstrainedError', 'NotFoundError']);

/** The open microphone. Another one, or the same with other settings, takes its place by `change`. */
export class Microphone {
  #isFree = false;
  #changes = 0;

  /** @param {MediaStream} stream */
  constructor(stream) {
    this.stream = stream;
    /** @type {(() => void)|undefined} */
    this.onLost = undefined;
    /** @type {(() => void)|undefined} the device went away by itself */
    this.onEnded = undefined;
    this.#watch(stream);
  }

  get isFree() {
    return this.#isFree;
  }

  get track() {
    return this.stream.getAudioTracks()[0];
  }

  /**
   * Open another microphone; only then is the one before given back.
   * @param {MicrophoneWish} wish
   * @returns {Promise<boolean>} false when it came too late: this was freed, or asked for another meanwhile
   * @throws {MicrophoneError}
   */
  async change(wish) {
    this.#changes += 1;
    const change = this.#changes;
    const stream = await openStream(wish);
    if (this.#isFree || change !== this.#changes) {
      stopTracks(stream);
      return false;
    }
    stopTracks(this.stream);
    this.stream = stream;
    this.#watch(stream);
    return true;
  }

  free() {
    this.#isFree = true;
    stopTracks(this.stream);
  }

  /** A track that we stop ourselves does not say that it ended. @param {MediaStream} stream */
  #watch(stream) {
    for (const track of stream.getTracks()) {
      track.addEventListener('ended', () => {
        if (stream === this.stream && !this.#isFree) this.onEnded?.();
      });
    }
  }
}

/**
 * Ask for the microphone.
 * @param {MicrophoneWish} wish
 * @throws {MicrophoneError}
 */
export async function openMicrophone(wish) {
  return new Microphone(await openStream(wish));
}

/** A track without sound: WebRTC needs one even when nobody speaks. @returns {SoundSource} */
export function openSilence() {
  const context = new AudioContext();
  const { stream } = context.createMediaStreamDestination();
  const free = () => {
    stopTracks(stream);
    if (context.state !== 'closed') context.close();
  };
  return { stream, free };
}

/** @param {MicrophoneWish} wish @returns {Promise<MediaStream>} */
async function openStream(wish) {
  if (!globalThis.isSecureContext) throw new MicrophoneError('insecure');
  if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError('unsupported');
  try {
    return await askFor(wish);
  } catch (error) {
    throw new MicrophoneError(problemOf(error));
  }
}

/** Ask for the device that was chosen; when it has gone, for the system's own choice. @param {MicrophoneWish} wish */
async function askFor({ deviceId, ...audio }) {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: deviceId ? { ...audio, deviceId: { exact: deviceId } } : audio });
  } catch (error) {
    if (!(error instanceof Error) || !GONE.has(error.name) || (error.name === 'NotFoundError' && !deviceId)) throw error;
    return navigator.mediaDevices.getUserMedia({ audio });
  }
}

/** @param {MediaStream} stream */
function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}
