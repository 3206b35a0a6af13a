// @ts-check
// One call at a time, from Start to its end: the only owner of the page's state. Everything that touches the
// browser or the network is passed in. Emits `change` (state to draw anew), `server-event` and `client-event`
// (CustomEvents, `detail` is the protocol's event).

import { Attempt } from './attempt.js';
import { CallError, failureOf } from './call_errors.js';
import { BUSY_STATES, ENDED_BY_SERVER, nextState } from './call_state.js';
import { canStopReply, livePart, nextActivity, QUIET, REPLY_WAIT_MS } from './live_part.js';
import { MicrophoneError } from './microphone_errors.js';

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {import('./events.js').ClientEvent} ClientEvent */
/** @typedef {import('./call_errors.js').Failure} Failure */
/** @typedef {import('./microphone.js').SoundSource} SoundSource */
/** @typedef {import('./transport.js').Transport} Transport */
/** @typedef {import('./transport.js').TransportOptions} TransportOptions */
/**
 * @typedef {object} CallParts
 * @property {() => Promise<SoundSource>} openMicrophone
 * @property {() => SoundSource} openSilence
 * @property {(agent: string, signal: AbortSignal) => Promise<import('./api.js').IssuedSecret>} issueClientSecret
 * @property {(options: Omit<TransportOptions, 'callsUrl'|'audioElement'>) => Promise<Transport>} createTransport
 * @property {(callId: string, report: import('./api.js').CallReport) => unknown} report
 * @property {() => number} [now]
 */

export const SLOW_AFTER_MS = 5_000;
/** How long a new call waits until the server knows that the last one has ended: both count against the limit. */
export const FAREWELL_MS = 1_000;

export class Call extends EventTarget {
  /** @type {Attempt|null} */
  #attempt = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #waitTimer;
  /** @type {unknown} settles when the server knows that the last call is over */
  #farewell = null;

  /** @param {CallParts} parts */
  constructor(parts) {
    super();
    this.parts = parts;
    this.now = parts.now ?? Date.now;
    /** @type {import('./call_state.js').State} */
    this.state = 'idle';
    this.typing = false;
    this.muted = false;
    this.slow = false;
    this.unstable = false;
    this.microphoneLost = false;
    /** @type {Readonly<import('./live_part.js').Activity>} */
    this.activity = QUIET;
    /** @type {import('./microphone_errors.js').MicrophoneProblem|''} */
    this.problem = '';
    /** @type {Failure|null} */
    this.failure = null;
    this.endReason = '';
    this.liveSinceMs = 0;
    this.endedAtMs = 0;
  }

  /** One word for what goes on in a live call. */
  get part() {
    if (this.unstable) return 'unstable';
    const part = livePart(this.activity, this.muted);
    return part === 'listening' && this.microphoneLost ? 'unheard' : part;
  }

  get canStopReply() {
    return this.state === 'live' && canStopReply(this.activity);
  }

  get callId() {
    return this.#attempt?.callId ?? '';
  }

  /**
   * Make a call; does nothing while there is one.
   * @param {string} agent slug
   * @param {{typing?: boolean}} [how] typing: without a microphone
   */
  async start(agent, { typing = false } = {}) {
    if (BUSY_STATES.has(this.state)) return;
    const attempt = new Attempt(this.parts.report);
    this.#attempt = attempt;
    this.#forget(typing);
    this.#move(typing ? 'start_typing' : 'start');
    try {
      await this.#make(attempt, agent, typing);
    } catch (error) {
      if (!attempt.over) this.#giveUp(error);
    }
  }

  /** Stop making a call. */
  cancel(reason = 'user') {
    if (this.state === 'live' || !BUSY_STATES.has(this.state)) return;
    this.#finish('ended', reason, 'before it was connected');
    this.#move('cancel');
  }

  /** End a live call. */
  hangUp() {
    if (this.state === 'live') this.#end('hang_up', 'user');
  }

  /** The page goes away: no time for more than one last word. */
  leave() {
    if (this.state === 'live') this.#end('hang_up', 'page_closed');
    else this.cancel('page_closed');
  }

  /** @param {boolean} muted */
  mute(muted) {
    if (this.state !== 'live' || this.typing) return;
    this.#attempt?.transport?.mute(muted);
    this.muted = muted;
    this.#changed();
  }

  /** Stop the reply that is being made or heard. */
  stopReply() {
    if (!this.canStopReply) return;
    this.dispatchEvent(new Event('stop-reply'));
    this.#send((transport) => transport.interrupt());
  }

  /**
   * Say something in writing. Returns whether it was sent.
   * @param {string} text
   */
  sendText(text) {
    if (this.state !== 'live' || !text.trim()) return false;
    this.stopReply();
    const content = [{ type: 'input_text', text: text.trim() }];
    const isSent = this.#send((transport) => {
      transport.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
      transport.send({ type: 'response.create' });
    });
    if (isSent) this.#take({ type: 'local.asked' });
    return isSent;
  }

  /** Use the transport, which throws when the channel has closed and nobody has been told yet. @param {(transport: Transport) => void} use */
  #send(use) {
    const transport = this.#attempt?.transport;
    if (!transport) return false;
    try {
      use(transport);
    } catch {
      return false;
    }
    return true;
  }

  /** @param {boolean} typing */
  #forget(typing) {
    this.typing = typing;
    this.muted = false;
    this.slow = false;
    this.unstable = false;
    this.microphoneLost = false;
    this.activity = QUIET;
    this.problem = '';
    this.failure = null;
    this.endReason = '';
    this.liveSinceMs = 0;
    this.endedAtMs = 0;
  }

  /** @param {Attempt} attempt @param {string} agent @param {boolean} typing */
  async #make(attempt, agent, typing) {
    const source = attempt.keepSource(typing ? this.parts.openSilence() : await this.parts.openMicrophone());
    source.onLost = () => attempt.over || this.#noteMicrophoneLost();
    this.#move('microphone_ready');
    await Promise.race([this.#farewell, pause(FAREWELL_MS)]);
    attempt.check(null);
    const secret = attempt.check(await this.parts.issueClientSecret(agent, attempt.signal));
    attempt.requestId = secret.requestId ?? '';
    this.#move('secret_issued');
    const slowTimer = setTimeout(() => this.#noteSlow(attempt), SLOW_AFTER_MS);
    try {
      await attempt.keepTransport(await this.parts.createTransport(this.#listeners(attempt, source))).connect(secret.ephemeralKey);
    } finally {
      clearTimeout(slowTimer);
    }
    if (attempt.closedEarly) throw new CallError({ code: 'webrtc_connection_failed' });
    attempt.check(null);
    this.liveSinceMs = this.now();
    attempt.connected();
    this.#move('connected');
  }

  /** @param {Attempt} attempt @param {SoundSource} source */
  #listeners(attempt, source) {
    /** @type {Omit<TransportOptions, 'callsUrl'|'audioElement'>} */
    const listeners = {
      mediaStream: source.stream,
      onCallId: (callId) => attempt.keepCallId(callId),
      onEvent: (event) => attempt.over || this.#take(event),
      onSent: (event) => this.dispatchEvent(new CustomEvent('client-event', { detail: event })),
      onUnstable: (isUnstable) => attempt.over || this.#noteUnstable(isUnstable),
      onClose: () => attempt.over || this.#closed(attempt),
    };
    return listeners;
  }

  /** @param {ServerEvent} event */
  #take(event) {
    this.dispatchEvent(new CustomEvent('server-event', { detail: event }));
    if (event.type === 'error' && event.error?.code === 'session_expired') this.endReason = 'session_limit';
    const before = this.activity;
    this.activity = nextActivity(before, event);
    if (this.activity === before) return;
    clearTimeout(this.#waitTimer);
    if (this.activity.waiting) this.#waitTimer = setTimeout(() => this.#take({ type: 'local.wait_expired' }), REPLY_WAIT_MS);
    this.#changed();
  }

  /** The other side closed. While connecting, a refusal that follows says why. @param {Attempt} attempt */
  #closed(attempt) {
    attempt.closedEarly = this.state !== 'live';
    if (attempt.closedEarly) return;
    if (this.endReason) return this.#end('closed', this.endReason);
    this.#finish('failed', 'connection_lost');
    this.#stopClock();
    this.#noteUnstable(true);
    void Promise.race([this.#farewell, pause(FAREWELL_MS)]).then((reason) => this.#explain(attempt, reason));
  }

  /** Whether the server had ended the call, and why, comes with its answer to the report. @param {Attempt} attempt @param {unknown} reason */
  #explain(attempt, reason) {
    if (this.#attempt !== attempt || this.state !== 'live') return;
    if (typeof reason === 'string' && ENDED_BY_SERVER.has(reason)) {
      this.endReason = reason;
      return this.#move('closed');
    }
    this.failure = { code: 'connection_lost', status: 0, message: '', requestId: attempt.requestId, retryAfterS: 0, metric: '' };
    this.#move('lost');
  }

  /** @param {unknown} error */
  #giveUp(error) {
    if (error instanceof MicrophoneError) {
      this.#finish('failed', 'no_microphone', error.code);
      this.problem = error.problem;
      return this.#move('microphone_refused');
    }
    this.failure = failureOf(error);
    this.#finish('failed', 'connection_lost', this.failure.code);
    this.#move('refused');
  }

  /** @param {'hang_up'|'closed'} event @param {string} reason */
  #end(event, reason) {
    this.endReason = reason;
    this.#finish('ended', reason);
    this.#stopClock();
    this.#move(event);
  }

  /** @param {import('./attempt.js').Outcome} outcome */
  #finish(...outcome) {
    this.#farewell = this.#attempt?.finish(...outcome);
  }

  #stopClock() {
    this.endedAtMs = this.now();
    this.activity = QUIET;
    clearTimeout(this.#waitTimer);
  }

  /** @param {Attempt} attempt */
  #noteSlow(attempt) {
    if (attempt.over) return;
    this.slow = true;
    this.#changed();
  }

  #noteMicrophoneLost() {
    this.microphoneLost = true;
    this.#changed();
  }

  /** @param {boolean} isUnstable */
  #noteUnstable(isUnstable) {
    if (this.unstable === isUnstable) return;
    this.unstable = isUnstable;
    this.#changed();
  }

  /** @param {import('./call_state.js').CallEvent} event */
  #move(event) {
    this.state = nextState(this.state, event);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
