// @ts-check
// What the connection doctor does to browser and network.

import { LevelMeter } from './level_meter.js';
import { openMicrophone } from './microphone.js';
import { HEARD_RMS } from './doctor.js';

const LISTEN_MS = 4_000;
const READ_EVERY_MS = 100;

/** @typedef {{healthUrl: string, dryRunUrl: string, socketUrl: string, csrfHeader: string, csrfToken: string}} ToolsConfig */
/** @typedef {{agent: string, microphone: import('./microphone.js').MicrophoneWish}} ToolsWish */

/**
 * @param {ToolsConfig} config
 * @param {ToolsWish} wish
 * @returns {import('./doctor.js').Tools}
 */
export function browserTools(config, wish) {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json', [config.csrfHeader]: config.csrfToken };
  return {
    isSecure: isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia),
    permission,
    openMicrophone: () => openMicrophone(wish.microphone),
    loudest,
    askHealth: (signal) => fetch(config.healthUrl, { cache: 'no-store', signal }),
    rehearse: (signal) => fetch(config.dryRunUrl, { method: 'POST', headers, body: JSON.stringify({ agent: wish.agent }), signal }),
    openSocket: (signal) => openSocket(new URL(config.socketUrl, location.href.replace(/^http/, 'ws')), signal),
    loopBack,
    now: Date.now,
  };
}

/** Not every browser knows the name, and some answer only once they have asked. @returns {Promise<PermissionState|'unknown'>} */
async function permission() {
  try {
    return (await navigator.permissions.query({ name: 'microphone' })).state;
  } catch {
    return 'unknown';
  }
}

/** @param {MediaStream} stream @param {AbortSignal} signal */
async function loudest(stream, signal) {
  const meter = new LevelMeter();
  meter.wake();
  meter.listen('input', stream);
  let level = 0;
  for (const endMs = Date.now() + LISTEN_MS; level < HEARD_RMS && Date.now() < endMs && !signal.aborted; ) {
    await new Promise((resolve) => setTimeout(resolve, READ_EVERY_MS));
    level = Math.max(level, meter.read('input'));
  }
  meter.close();
  return level;
}

/** @param {URL} url @param {AbortSignal} signal @returns {Promise<string>} */
function openSocket(url, signal) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ['realtime']);
    signal.addEventListener('abort', () => socket.close());
    socket.addEventListener('message', ({ data }) => {
      resolve(String(JSON.parse(data).error?.code ?? JSON.parse(data).type));
      socket.close();
    });
    socket.addEventListener('close', ({ code }) => reject(new Error(`closed with ${code}`)));
  });
}

/** Connect two ends in this page, with the paths that a call would have. @param {AbortSignal} signal @returns {Promise<{kinds: string[]}>} */
async function loopBack(signal) {
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
  /** @type {Set<string>} */
  const kinds = new Set();
  try {
    for (const [from, to] of [[near, far], [far, near]]) {
      from.addEventListener('icecandidate', ({ candidate }) => {
        if (candidate?.candidate) kinds.add(`${candidate.type}/${candidate.protocol}`);
        void to.addIceCandidate(candidate ?? undefined).catch(() => undefined);
      });
    }
    const channel = near.createDataChannel('check');
    await near.setLocalDescription();
    await far.setRemoteDescription(/** @type {RTCSessionDescription} */ (near.localDescription));
    await far.setLocalDescription();
    await near.setRemoteDescription(/** @type {RTCSessionDescription} */ (far.localDescription));
    await new Promise((resolve, reject) => {
      channel.addEventListener('open', resolve);
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    return { kinds: [...kinds] };
  } finally {
    near.close();
    far.close();
  }
}
