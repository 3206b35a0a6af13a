// @ts-check
// Get a sound stream for a call: the microphone, or silence for those who only type. Whoever asks must free it.

import { MicrophoneError, problemOf } from './microphone_errors.js';

/** @type {MediaTrackConstraints} */
const CONSTRAINTS = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** @typedef {{stream: MediaStream, free: () => void, onLost?: () => void}} SoundSource onLost: set by whoever uses it; called when the device goes away by itself */

/**
 * Ask for the microphone.
 * @returns {Promise<SoundSource>}
 * @throws {MicrophoneError}
 */
export async function openMicrophone() {
  if (!globalThis.isSecureContext) throw new MicrophoneError('insecure');
  if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError('unsupported');
  try {
    const stream = await askFor(CONSTRAINTS);
    /** @type {SoundSource} */
    const source = { stream, free: () => stopTracks(stream) };
    for (const track of stream.getTracks()) track.addEventListener('ended', () => source.onLost?.());
    return source;
  } catch (error) {
    throw new MicrophoneError(problemOf(error));
  }
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

/** Try once more without wishes: some devices refuse what they don't know. @param {MediaTrackConstraints} constraints */
async function askFor(constraints) {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: constraints });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'OverconstrainedError') throw error;
    return navigator.mediaDevices.getUserMedia({ audio: true });
  }
}

/** @param {MediaStream} stream */
function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}
