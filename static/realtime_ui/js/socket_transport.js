// @ts-check
// One call over WebSocket, by the same interface as over WebRTC. Every event passes our own server, which has set the
// session before it lets us in. Sound is our work here: what is heard is told in the events that WebRTC has for it.

import { CallError } from './call_errors.js';
import { PlayedAudio } from './played_audio.js';
import { SocketSound } from './socket_sound.js';
import { CONNECT_TIMEOUT_MS } from './transport.js';

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {import('./events.js').ClientEvent} ClientEvent */
/** @typedef {import('./transport.js').Transport} Transport */
/** @typedef {import('./transport.js').TransportOptions} TransportOptions */

const SUBPROTOCOL = 'realtime';
const CREDENTIAL_PREFIX = 'openai-insecure-api-key.';
/** What our server says every five seconds, so that silence is no riddle. */
const ALIVE = 'relay.alive';
export const LOOK_EVERY_MS = 5_000;
/** So many looks in a row that find nothing said mean that nobody is there. They are counted, since a page that slept has missed none. */
export const SILENT_LOOKS = 3;
const NORMAL_CLOSE = 1000;
const OWN_CLOSE_CODES = 4000;
/** @type {Readonly<Record<number, number>>} what a refusal would have been as an HTTP answer */
const STATUS_OF_CLOSE = { 1011: 502, 1013: 503 };
/** About three seconds of sound: a network that stands still must not make words arrive much later than they are said. */
const MAX_UNSENT_BYTES = 200_000;

/**
 * @param {import('./socket_sound.js').WorkletUrls & {socketUrl: string}} urls socketUrl: absolute
 * @param {TransportOptions} options
 * @returns {Transport}
 */
export function createSocketTransport(urls, options) {
  const call = new SocketCall(urls, options);
  return {
    connect: (secret) => call.connect(secret),
    send: (event) => call.send(event),
    mute: (muted) => call.mute(muted),
    replaceTrack: (track) => call.replaceTrack(track),
    interrupt: () => call.interrupt(),
    kind: 'websocket',
    stats: async () => null,
    close: () => call.close(),
  };
}

class SocketCall {
  /** @type {WebSocket|null} */
  #socket = null;
  #isLive = false;
  #silentLooks = 0;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #lookTimer;
  #interruptsBySpeech = true;
  /** @type {MediaStreamTrack} */
  #track;

  /** @param {import('./socket_sound.js').WorkletUrls & {socketUrl: string}} urls @param {TransportOptions} options */
  constructor(urls, options) {
    this.urls = urls;
    this.options = options;
    this.#track = options.mediaStream.getAudioTracks()[0];
    this.sound = new SocketSound(options.audioElement, (report) => this.heard.report(report));
    this.heard = new PlayedAudio(this.sound, options.onEvent);
  }

  /** Connect, or fail within CONNECT_TIMEOUT_MS. @param {string} secret */
  async connect(secret) {
    await Promise.all([this.#open(secret), this.sound.open(this.urls, (audio) => this.#sendSound(audio))]);
    if (this.options.sendsSound) this.sound.listen(this.#track);
    this.#isLive = true;
    this.#lookTimer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** @param {ClientEvent} event */
  send(event) {
    if (this.#socket?.readyState !== WebSocket.OPEN) throw new Error('The socket is not open.');
    this.options.onSent(event);
    this.#socket.send(JSON.stringify(event));
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#track.enabled = !muted;
  }

  /** @param {MediaStreamTrack} track */
  replaceTrack(track) {
    this.#track = track;
    this.sound.listen(track);
  }

  interrupt() {
    if (this.heard.canCancel) this.send({ type: 'response.cancel' });
    this.#fallSilent();
  }

  close() {
    clearInterval(this.#lookTimer);
    this.sound.close();
    this.#socket?.close(NORMAL_CLOSE);
  }

  /** @param {string} secret */
  #open(secret) {
    const socket = new WebSocket(this.urls.socketUrl, [SUBPROTOCOL, CREDENTIAL_PREFIX + secret]);
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new CallError({ code: 'upstream_timeout' }));
        socket.close();
      }, CONNECT_TIMEOUT_MS);
      /** @type {ServerEvent['error']} */
      let refusal;
      socket.onmessage = ({ data }) => {
        this.#silentLooks = 0;
        const event = /** @type {ServerEvent} */ (JSON.parse(data));
        if (event.type === ALIVE) return;
        if (event.type === 'session.created') resolve(this.options.onCallId(event.session?.id ?? ''));
        else if (event.type === 'error') refusal ??= event.error;
        this.#take(event);
      };
      socket.onclose = ({ code, reason }) => {
        clearTimeout(timer);
        reject(refusalOf(refusal, code));
        if (this.#isLive) this.options.onClose(reason);
      };
      socket.addEventListener('message', () => clearTimeout(timer), { once: true });
    });
  }

  /** A network that dies without a word leaves the socket open for many minutes. */
  #look() {
    this.#silentLooks += 1;
    if (this.#silentLooks < SILENT_LOOKS) return;
    this.close();
    this.options.onClose();
  }

  /** @param {ServerEvent} event */
  #take(event) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return; // what was under way when we closed
    if (event.session) this.#interruptsBySpeech = event.session.audio?.input?.turn_detection?.interrupt_response !== false;
    this.heard.take(event);
    this.options.onEvent(event);
    if (event.type === 'input_audio_buffer.speech_started' && this.#interruptsBySpeech) this.#fallSilent();
  }

  #fallSilent() {
    for (const truncation of this.heard.cut()) this.send(truncation);
  }

  /** Sound is too much to be told of. @param {string} audio */
  #sendSound(audio) {
    const socket = this.#socket;
    if (!this.#isLive || socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > MAX_UNSENT_BYTES) return;
    socket.send(JSON.stringify({ type: 'input_audio_buffer.append', audio }));
  }
}

/** Why the server let nobody in: by what it said, or by how it closed. @param {ServerEvent['error']} error @param {number} code */
function refusalOf(error, code) {
  const status = code > OWN_CLOSE_CODES ? code - OWN_CLOSE_CODES : (STATUS_OF_CLOSE[code] ?? 0);
  return new CallError({ code: error?.code || 'network', message: error?.message ?? '', status });
}
