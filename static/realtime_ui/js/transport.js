// @ts-check
// One call over WebRTC with the official SDK's transport. The whole interface the page knows of a transport, this one or
// that over WebSocket: connect(secret), send(event), mute(muted), replaceTrack(track), interrupt(), close(); events out
// by `onEvent` and `onClose`.
// The server decides the session, so what the SDK would send by itself on connecting is kept back.

import { watchAnswer } from './answer_watch.js';
import { CallError, parseFailure } from './call_errors.js';
import { loadSdk } from './sdk.js';

/** The relay waits ten seconds for the upstream, and a path for sound is found in a few more or not at all. */
export const CONNECT_TIMEOUT_MS = 20_000;
/** Once the answer is there, sound finds its way within a second or two, or something is in the way. */
export const PATH_TIMEOUT_MS = 8_000;

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {import('./events.js').ClientEvent} ClientEvent */
/**
 * @typedef {object} Transport
 * @property {(secret: string) => Promise<void>} connect
 * @property {(event: ClientEvent) => void} send
 * @property {(muted: boolean) => void} mute
 * @property {(track: MediaStreamTrack) => void} replaceTrack speak through another microphone from now on
 * @property {() => void} interrupt stop the reply and its sound
 * @property {'webrtc'|'websocket'} kind
 * @property {() => Promise<RTCStatsReport|null>} stats what the browser counts of the connection; null where it counts nothing
 * @property {() => void} close
 */
/**
 * @typedef {object} TransportOptions
 * @property {MediaStream} mediaStream
 * @property {boolean} sendsSound whether the stream is a microphone's, not silence
 * @property {HTMLAudioElement} audioElement
 * @property {string} continues the call whose conversation goes on in this one, if any
 * @property {(callId: string) => void} onCallId told as soon as the relay answers, even when the attempt was given up meanwhile
 * @property {(event: ServerEvent) => void} onEvent
 * @property {(event: ClientEvent) => void} onSent
 * @property {(isUnstable: boolean) => void} onUnstable nothing comes through just now, which may pass
 * @property {(reason?: string) => void} onClose reason: why the server says it ended the call, where the transport tells
 */

/**
 * Load the SDK and make a transport that is not connected yet.
 * @param {string} sdkUrl
 * @param {string} callsUrl absolute
 * @param {TransportOptions} options
 * @returns {Promise<Transport>}
 * @throws {CallError} `sdk_missing`
 */
export async function createWebRtcTransport(sdkUrl, callsUrl, options) {
  const sdk = await loadSdk(sdkUrl).catch(() => {
    throw new CallError({ code: 'sdk_missing' });
  });
  if (typeof RTCPeerConnection === 'undefined') throw new CallError({ code: 'webrtc_connection_failed' });
  /** @type {RTCPeerConnection|undefined} */
  let peers;
  const inner = new (serverOwned(sdk.OpenAIRealtimeWebRTC, options.onSent))({
    baseUrl: callsUrl,
    mediaStream: options.mediaStream,
    audioElement: options.audioElement,
    changePeerConnection: (/** @type {RTCPeerConnection} */ connection) => (peers = watchConnection(connection, options.onUnstable)),
  });
  inner.on('*', options.onEvent);
  inner.on('error', () => {}); // an `error` without listener would throw; the event itself arrives by '*'
  inner.on('connection_change', (/** @type {string} */ status) => {
    if (status === 'disconnected') options.onClose();
  });
  return {
    connect: (secret) => connect(inner, secret, options, () => peers?.connectionState === 'connected'),
    send: (event) => inner.sendEvent(event),
    mute: (muted) => inner.mute(muted),
    replaceTrack: (track) => {
      for (const sender of inner.connectionState.peerConnection?.getSenders() ?? []) void sender.replaceTrack(track);
    },
    interrupt: () => {
      options.onSent({ type: 'output_audio_buffer.clear' });
      inner.interrupt();
    },
    kind: 'webrtc',
    stats: async () => inner.connectionState.peerConnection?.getStats() ?? null,
    close: () => inner.close(),
  };
}

/**
 * The SDK's class without its own ideas about the session.
 * @param {any} OpenAIRealtimeWebRTC
 * @param {(event: ClientEvent) => void} onSent
 * @returns {any}
 */
function serverOwned(OpenAIRealtimeWebRTC, onSent) {
  return class extends OpenAIRealtimeWebRTC {
    /** The SDK's defaults would replace instructions, voice and turn detection that the server has set. */
    buildSessionPayload() {
      return { type: 'realtime' };
    }

    /** Tracing would send conversations to the provider's dashboard; the server decides that too. */
    _updateTracingConfig() {}

    /** The SDK asks for whole items, sound included, to keep a history that this page does not use. @param {ClientEvent} event */
    sendEvent(event) {
      if (event.type === 'conversation.item.retrieve') return;
      onSent(event);
      super.sendEvent(event);
    }
  };
}

/**
 * Tell when the connection falters; the SDK closes it by itself when it does not recover.
 * @param {RTCPeerConnection} connection
 * @param {(isUnstable: boolean) => void} onUnstable
 */
function watchConnection(connection, onUnstable) {
  connection.addEventListener('connectionstatechange', () => onUnstable(connection.connectionState === 'disconnected'));
  return connection;
}

/**
 * Connect, or fail within CONNECT_TIMEOUT_MS. The SDK keeps the relay's answer to itself until all is set up, and
 * of a refusal passes on only the sentence; so the answer is read in passing, for the call id, the code and
 * Retry-After. Once live, the SDK does not mind a data channel that closes alone; we do.
 * @param {any} inner
 * @param {string} apiKey
 * @param {TransportOptions} options
 * @param {() => boolean} hasPath whether sound can flow
 */
async function connect(inner, apiKey, { onCallId, onClose }, hasPath) {
  /** @type {Response|undefined} */
  let answer;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let pathTimer;
  const forget = watchAnswer(apiKey, (response) => {
    answer = response.clone();
    if (!response.ok) return;
    onCallId(response.headers.get('Location')?.split('/').pop() ?? '');
    pathTimer = setTimeout(() => hasPath() || inner.close(), PATH_TIMEOUT_MS);
  });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    inner.close();
  }, CONNECT_TIMEOUT_MS);
  try {
    await inner.connect({ apiKey });
  } catch (error) {
    if (error instanceof TypeError) throw new CallError({ code: 'network' });
    throw await callError(answer, isLate);
  } finally {
    clearTimeout(timer);
    clearTimeout(pathTimer);
    forget();
  }
  inner.connectionState.dataChannel?.addEventListener('close', () => onClose());
}

/** Why connecting came to nothing, by what the relay said. @param {Response|undefined} answer @param {boolean} isLate */
async function callError(answer, isLate) {
  if (!answer && isLate) return new CallError({ code: 'upstream_timeout' });
  if (!answer || answer.ok) return new CallError({ code: 'webrtc_connection_failed' });
  return new CallError(parseFailure(answer.status, await answer.json().catch(() => null), answer.headers));
}
