// @ts-check
// One call at a time, from Start to its end: the only owner of the page's state. Everything that touches the
// browser or the network is passed in. Emits `change` (state to draw anew), `server-event` and `client-event`
// (CustomEvents, `detail` is the protocol's event), `connecting-again` (what comes now knows nothing of what was before)
// and `connected-again` (`detail` is whether the assistant was told).

import { Attempt } from './attempt.js';
import { CallError, failureOf } from './call_errors.js';
import { BEGUN_STATES, BUSY_STATES, ENDED_BY_SERVER, nextState } from './call_state.js';
import { canStopReply, livePart, nextActivity, QUIET, REPLY_WAIT_MS } from './live_part.js';
import { MicrophoneError } from './microphone_errors.js';
import { PushToTalk } from './push_to_talk.js';
import { mayPass, Reconnection } from './reconnection.js';
import { Renewal } from './renewal.js';

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
 * @property {(options: Omit<TransportOptions, 'audioElement'>) => Promise<Transport>} createTransport
 * @property {(callId: string, report: import('./api.js').CallReport) => unknown} report
 * @property {import('./reconnection.js').Network} network
 * @property {{fallBack: (code: string) => boolean, noteBroken: () => void, settle: (isConnected: boolean) => void}} routes
 * @property {() => ClientEvent[]} earlierTurns what the assistant is told again after a lost connection
 * @property {number} [longestMs] how long a call may last at most
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
  /** @type {SoundSource|null} kept through all connections of a call */
  #source = null;
  #life = new AbortController();
  /** Of the connection that was live last. */
  #liveCallId = '';

  /** @param {CallParts} parts */
  constructor(parts) {
    super();
    this.parts = parts;
    this.now = parts.now ?? Date.now;
    /** @type {import('./call_state.js').State} */
    this.state = 'idle';
    /** Slug of the agent that the next connection is made to. */
    this.agent = '';
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
    this.reconnection = new Reconnection({ changed: () => this.#changed(), network: parts.network, now: this.now });
    this.renewal = new Renewal({
      isQuiet: () => livePart(this.activity, false) === 'listening' && this.talkMode !== 'holding',
      due: () => void this.#renew(),
      longestMs: parts.longestMs ?? 0,
      now: this.now,
    });
    this.addEventListener('change', () => this.renewal.look());
    this.talk = new PushToTalk({
      send: (event) => this.#send((transport) => transport.send(event)),
      openMicrophone: (isOpen) => this.#send((transport) => transport.mute(!isOpen || this.muted)),
      stopReply: () => this.stopReply(),
      asked: () => this.#take({ type: 'local.asked' }),
      now: this.now,
    });
    this.talk.addEventListener('change', () => this.#changed());
  }

  /** One word for what goes on in a live call. */
  get part() {
    if (this.unstable) return 'unstable';
    if (this.talkMode === 'holding') return 'holding';
    const part = livePart(this.activity, this.muted);
    if (part !== 'listening') return part;
    if (this.microphoneLost) return 'unheard';
    return this.talkMode === 'off' ? part : 'hold';
  }

  get talkMode() {
    return this.typing ? 'off' : this.talk.mode;
  }

  get canStopReply() {
    return this.state === 'live' && canStopReply(this.activity);
  }

  /** What carries the call while it is live. */
  get liveTransport() {
    return this.state === 'live' ? (this.#attempt?.transport ?? null) : null;
  }

  get callId() {
    return this.#attempt?.callId || this.#liveCallId;
  }

  /**
   * Make a call; does nothing while there is one.
   * @param {string} agent slug
   * @param {{typing?: boolean}} [how] typing: without a microphone
   */
  async start(agent, { typing = false } = {}) {
    if (BUSY_STATES.has(this.state)) return;
    this.#forget(typing);
    this.agent = agent;
    const life = this.#life.signal;
    this.#move(typing ? 'start_typing' : 'start');
    try {
      await this.#open(life);
      await this.#connect(life);
    } catch (error) {
      if (!life.aborted) this.#giveUp(error);
    }
  }

  /** Stop making a call. */
  cancel(reason = 'user') {
    if (BEGUN_STATES.has(this.state) || !BUSY_STATES.has(this.state)) return;
    this.#finish('ended', reason, 'before it was connected');
    this.#free();
    this.#move('cancel');
  }

  /** Put a failure aside, to begin anew with somebody else. */
  choose() {
    this.#move('choose');
  }

  /** End a call. */
  hangUp() {
    if (BEGUN_STATES.has(this.state)) this.#end('hang_up', 'user');
  }

  /** The server has ended the call, and says why. @param {string} reason */
  noteEnd(reason) {
    if (BEGUN_STATES.has(this.state)) this.#endedByServer(reason);
  }

  /** The page goes away: no time for more than one last word. */
  leave() {
    if (BEGUN_STATES.has(this.state)) this.#end('hang_up', 'page_closed');
    else this.cancel('page_closed');
  }

  /** @param {boolean} muted */
  mute(muted) {
    if (this.state !== 'live' || this.typing || this.talkMode !== 'off') return;
    this.#attempt?.transport?.mute(muted);
    this.muted = muted;
    this.#changed();
  }

  /** Speak through another microphone from now on. @param {MediaStreamTrack} track */
  replaceTrack(track) {
    track.enabled = this.talk.isOpen && !this.muted;
    this.microphoneLost = false;
    this.#send((transport) => transport.replaceTrack(track));
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

  /** Tell the model what a tool gave that the page ran. @param {string} toolCallId @param {string} output */
  answerTool(toolCallId, output) {
    this.#send((transport) => {
      transport.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: toolCallId, output } });
      transport.send({ type: 'response.create' });
    });
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
    this.#life = new AbortController();
    this.#attempt = null;
    this.#liveCallId = '';
    this.reconnection.reset();
    this.typing = typing;
    this.muted = false;
    this.slow = false;
    this.unstable = false;
    this.microphoneLost = false;
    this.talk.reset();
    this.activity = QUIET;
    this.problem = '';
    this.failure = null;
    this.endReason = '';
    this.liveSinceMs = 0;
    this.endedAtMs = 0;
  }

  /** Open the microphone; one that comes too late is freed at once. @param {AbortSignal} life */
  async #open(life) {
    const source = this.typing ? this.parts.openSilence() : await this.parts.openMicrophone();
    if (life.aborted) source.free();
    life.throwIfAborted();
    this.#source = source;
    source.onLost = () => life.aborted || this.#noteMicrophoneLost();
    this.#move('microphone_ready');
  }

  /**
   * Connect, with a fresh secret. What fails is tried once more where something else is likely to work: another way for
   * the sound, or a secret that has not run out on the way.
   * @param {AbortSignal} life
   */
  async #connect(life) {
    let isFresh = true;
    for (;;) {
      const attempt = new Attempt(this.parts.report, (reason) => this.#endedByServer(reason));
      this.#attempt = attempt;
      try {
        return await this.#connectOnce(attempt);
      } catch (error) {
        life.throwIfAborted();
        const { code } = failureOf(error);
        const isAgain = this.parts.routes.fallBack(code) || (isFresh && code === 'ephemeral_key_expired');
        if (!isAgain) throw error;
        isFresh &&= code !== 'ephemeral_key_expired';
        this.#finish('failed', 'connection_lost', code);
        this.#move('fall_back');
      }
    }
  }

  /** @param {Attempt} attempt */
  async #connectOnce(attempt) {
    await Promise.race([this.#farewell, pause(FAREWELL_MS)]);
    attempt.check(null);
    const secret = attempt.check(await this.parts.issueClientSecret(this.agent, attempt.signal));
    attempt.requestId = secret.requestId ?? '';
    this.#move('secret_issued');
    const slowTimer = setTimeout(() => this.#noteSlow(attempt), SLOW_AFTER_MS);
    try {
      await attempt.keepTransport(await this.parts.createTransport(this.#listeners(attempt))).connect(secret.ephemeralKey);
    } finally {
      clearTimeout(slowTimer);
    }
    if (attempt.closedEarly) throw new CallError({ code: 'webrtc_connection_failed' });
    attempt.check(null);
    this.liveSinceMs ||= this.now();
    attempt.connected();
    this.#liveCallId = attempt.callId;
    this.reconnection.connected();
    this.parts.routes.settle(true);
    this.#move('connected');
    if (!this.typing) this.talk.begin();
  }

  /** @param {Attempt} attempt */
  #listeners(attempt) {
    /** @type {Omit<TransportOptions, 'audioElement'>} */
    const listeners = {
      mediaStream: /** @type {SoundSource} */ (this.#source).stream,
      sendsSound: !this.typing,
      continues: this.#liveCallId,
      onCallId: (callId) => attempt.keepCallId(callId),
      onEvent: (event) => attempt.over || this.#take(event),
      onSent: (event) => this.dispatchEvent(new CustomEvent('client-event', { detail: event })),
      onUnstable: (isUnstable) => attempt.over || this.#noteUnstable(isUnstable),
      onClose: (reason) => attempt.over || this.#closed(attempt, reason),
    };
    return listeners;
  }

  /** @param {ServerEvent} event */
  #take(event) {
    this.dispatchEvent(new CustomEvent('server-event', { detail: event }));
    if (event.type === 'error' && event.error?.code === 'session_expired') this.endReason = 'session_limit';
    this.talk.apply(event);
    if (this.#attempt?.transport?.kind === 'webrtc') this.renewal.apply(event);
    const before = this.activity;
    this.activity = nextActivity(before, event);
    if (this.activity === before) return;
    clearTimeout(this.#waitTimer);
    if (this.activity.waiting) this.#waitTimer = setTimeout(() => this.#take({ type: 'local.wait_expired' }), REPLY_WAIT_MS);
    this.#changed();
  }

  /** The other side closed. While connecting, a refusal that follows says why. @param {Attempt} attempt @param {string} [reason] */
  #closed(attempt, reason = '') {
    attempt.closedEarly = this.state !== 'live';
    if (attempt.closedEarly) return;
    if (ENDED_BY_SERVER.has(reason)) this.endReason = reason;
    if (this.endReason) return this.#end('closed', this.endReason);
    const hasFaltered = this.unstable;
    this.#finish('failed', 'connection_lost');
    this.#rest();
    this.renewal.reset();
    this.reconnection.lost();
    this.#noteUnstable(true);
    void this.#explain(attempt, hasFaltered);
  }

  /** Whether the server had ended the call, and why, comes with its answer to the report. @param {Attempt} attempt @param {boolean} hasFaltered sound had stopped coming through before */
  async #explain(attempt, hasFaltered) {
    const life = this.#life.signal;
    const reason = await Promise.race([this.#farewell, pause(FAREWELL_MS)]);
    if (life.aborted) return;
    if (this.#endedOnPurpose(reason)) return;
    if (reason && hasFaltered) this.parts.routes.noteBroken();
    this.talk.reset();
    this.#move('lost');
    await this.#reconnect(life, attempt, Boolean(reason));
  }

  /** The voice service ends this session soon: go on in another one before. */
  async #renew() {
    const attempt = this.#attempt;
    if (this.state !== 'live' || !attempt) return;
    this.#finish('ended', 'renewed');
    this.#rest();
    this.talk.reset();
    this.reconnection.soon();
    this.#noteUnstable(true);
    this.#move('lost');
    await this.#reconnect(this.#life.signal, attempt, true);
  }

  /** @param {AbortSignal} life @param {Attempt} lost @param {boolean} isTold whether the server knows that it is lost */
  async #reconnect(life, lost, isTold) {
    while (await this.reconnection.wait(life)) {
      if (!isTold && this.#endedOnPurpose(await Promise.race([lost.retell(), pause(FAREWELL_MS)]))) return;
      this.dispatchEvent(new Event('connecting-again'));
      try {
        await this.#connect(life);
        return this.#resume();
      } catch (error) {
        if (life.aborted) return;
        if (!mayPass(failureOf(error).code)) return this.#giveUp(error);
        this.#finish('failed', 'connection_lost', failureOf(error).code);
        this.reconnection.failed();
      }
    }
    if (!life.aborted) this.#giveUp(new CallError({ code: 'connection_lost', requestId: this.#attempt?.requestId }));
  }

  /** Connected again: tell the assistant what was said before, where the server wants that. */
  #resume() {
    const turns = this.parts.earlierTurns();
    for (const turn of turns) this.#send((transport) => transport.send(turn));
    this.dispatchEvent(new CustomEvent('connected-again', { detail: turns.length > 0 }));
    this.#noteUnstable(false);
  }

  /** End the call if that is what a reason from the server says. @param {unknown} reason */
  #endedByServer(reason) {
    if (typeof reason !== 'string' || !ENDED_BY_SERVER.has(reason)) return false;
    this.#end('closed', reason);
    return true;
  }

  /**
   * Do the same for a connection that broke off here: that the voice service ended the call, too, may be the same loss,
   * seen by the server first.
   * @param {unknown} reason
   */
  #endedOnPurpose(reason) {
    return reason !== 'upstream_ended' && this.#endedByServer(reason);
  }

  /** @param {unknown} error */
  #giveUp(error) {
    if (error instanceof MicrophoneError) {
      this.problem = error.problem;
      this.#free();
      return this.#move('microphone_refused');
    }
    this.parts.routes.settle(false);
    this.failure = failureOf(error);
    this.failure.requestId ||= this.#attempt?.requestId ?? '';
    this.#finish('failed', 'connection_lost', this.failure.code);
    this.#stopClock();
    this.#free();
    this.#move('refused');
  }

  /** @param {'hang_up'|'closed'} event @param {string} reason */
  #end(event, reason) {
    this.endReason = reason;
    this.#finish('ended', reason);
    this.#stopClock();
    this.#free();
    this.#move(event);
  }

  /** @param {import('./attempt.js').Outcome} outcome */
  #finish(...outcome) {
    this.#farewell = this.#attempt?.finish(...outcome) ?? this.#farewell;
  }

  /** The call is over: nothing goes on, and the microphone is given back. */
  #free() {
    this.#life.abort();
    this.renewal.reset();
    this.#source?.free();
    this.#source = null;
  }

  #stopClock() {
    if (this.liveSinceMs) this.endedAtMs = this.now();
    this.#rest();
  }

  /** Nobody speaks any more. */
  #rest() {
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
