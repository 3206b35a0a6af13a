// @ts-check
// What the stage says and offers in each state: a pure function of the call. Knows no document.

import { ENDED_BY_SERVER } from './call_state.js';
import { adviceFor, MESSAGE_MATTERS } from './call_errors.js';
import { browserKind } from './microphone_errors.js';
import { RECONNECT_DELAYS_MS } from './reconnection.js';
import { clockTime } from './words.js';

/** @typedef {import('./call.js').Call} Call */
/** @typedef {import('./words.js').Words} Words */
/** @typedef {'start'|'type'|'cancel'|'play'|'talk'|'mute'|'stop'|'end'|'download'|'sign_in'|'reload'|'check'|'copy'|'try_now'|'end_other'|'choose'} Action */
/**
 * @typedef {object} View
 * @property {string} headline
 * @property {string} line
 * @property {string[]} steps
 * @property {string} reference by which an administrator finds the failure; empty without one
 * @property {boolean} isAlert the person must do something
 * @property {Partial<Record<Action, string>>} buttons label by action, in no order
 * @property {Action[]} disabled
 */

/** @type {Readonly<Record<string, number>>} */
const STEPS_PER_BROWSER = { chrome: 3, firefox: 3, safari_mac: 3, safari_iphone: 3, chrome_android: 3, other: 2 };

/** The server could not even reach the upstream; it knows what to do about that. */
const UNREACHABLE = 503;

/**
 * @param {Pick<Call, 'state'|'part'|'talkMode'|'typing'|'muted'|'slow'|'problem'|'failure'|'activity'|'canStopReply'|'endReason'|'liveSinceMs'|'endedAtMs'|'reconnection'>} call
 * @param {Words} words
 * @param {{nowMs?: number, userAgent: string, waitS: number, hasTranscript: boolean, canChoose?: boolean, soundBlocked: boolean, soundStopped?: boolean, isAllowed?: boolean, cost?: string, isFree?: boolean, endReason?: string}} around waitS: seconds until Try again is allowed; canChoose: there is more than one assistant; soundStopped: it could be heard before; isAllowed: the microphone was, since; cost: in words, empty where there is none
 * @returns {View}
 */
export function describe(call, words, around) {
  switch (call.state) {
    case 'blocked':
      return around.isAllowed ? allowed(words) : blocked(call, words, around.userAgent);
    case 'live':
      return live(call, words, around);
    case 'reconnecting':
      return reconnecting(call, words, around.nowMs ?? Date.now());
    case 'failed':
      return failed(call, words, around);
    case 'ended':
      return ended(call, words, around);
    case 'idle':
      return view(words('idle'), words('idle_line'), { start: words('start'), type: words('type_instead') });
    default: {
      const line = call.state === 'preparing' ? words('preparing_line') : call.slow ? words('connecting_slow') : '';
      return view(words(call.state), line, { cancel: words('cancel') });
    }
  }
}

/**
 * @param {string} headline
 * @param {string} line
 * @param {View['buttons']} buttons
 * @param {Partial<View>} [more]
 * @returns {View}
 */
function view(headline, line, buttons, more = {}) {
  return { headline, line, buttons, steps: [], reference: '', isAlert: false, disabled: [], ...more };
}

/** Somebody has lifted the block; what was asked for is done when the person says so. @param {Words} words */
function allowed(words) {
  return view(words('microphone_allowed'), words('microphone_allowed_line'), { start: words('try_again'), type: words('type_instead') });
}

/** @param {Pick<Call, 'problem'>} call @param {Words} words @param {string} userAgent */
function blocked({ problem }, words, userAgent) {
  const browser = browserKind(userAgent);
  const count = problem === 'blocked' ? STEPS_PER_BROWSER[browser] : 0;
  const steps = Array.from({ length: count }, (_, index) => words(`steps_${browser}_${index + 1}`));
  const buttons = { start: words('try_again'), type: words('type_instead'), check: words('check_connection') };
  return view(words(`microphone_${problem}`), words(`microphone_${problem}_line`), buttons, { steps, isAlert: true });
}

/** @param {Pick<Call, 'part'|'talkMode'|'typing'|'muted'|'activity'|'canStopReply'>} call @param {Words} words @param {{soundBlocked: boolean, soundStopped?: boolean}} around */
function live({ part, talkMode, typing, muted, activity, canStopReply }, words, { soundBlocked, soundStopped }) {
  /** @type {View['buttons']} */
  const buttons = { stop: words('stop_reply'), end: words('end_call') };
  if (talkMode !== 'off') buttons.talk = words('talk');
  else if (!typing) buttons.mute = words(muted ? 'unmute' : 'mute');
  if (soundBlocked) buttons.play = words(soundStopped ? 'resume_sound' : 'play_sound');
  const key = typing && part === 'listening' ? 'live_typing' : `live_${part}`;
  const line = part === 'thinking' && activity.tool ? words('looking_up', { tool: activity.tool }) : words(`${key}_line`);
  return view(words(key), line, buttons, { disabled: canStopReply ? [] : ['stop'] });
}

/** @param {Pick<Call, 'reconnection'>} call @param {Words} words @param {number} nowMs */
function reconnecting({ reconnection: { attempt, retryAtMs, isOffline } }, words, nowMs) {
  const waitS = Math.max(1, Math.ceil((retryAtMs - nowMs) / 1000));
  const line = isOffline ? words('offline_line') : retryAtMs ? words('reconnecting_line', { n: waitS, k: attempt, of: RECONNECT_DELAYS_MS.length }) : words('connecting');
  return view(words('reconnecting'), line, { try_now: words('try_now'), end: words('end_call') }, { disabled: retryAtMs || isOffline ? [] : ['try_now'] });
}

/** @param {Pick<Call, 'failure'|'typing'>} call @param {Words} words @param {{waitS: number, hasTranscript: boolean, canChoose?: boolean}} around */
function failed({ failure, typing }, words, { waitS, hasTranscript, canChoose }) {
  const { code = 'unknown', status = 0, message = '', requestId = '', metric = '' } = failure ?? {};
  const { headline, line, remedies } = adviceFor(code, metric);
  /** @type {View['buttons']} */
  const buttons = hasTranscript ? { download: words('download') } : {};
  if (remedies.includes('retry')) buttons.start = waitS > 0 ? words('try_again_in', { n: waitS }) : words('try_again');
  if (remedies.includes('retry') && code === 'webrtc_connection_failed' && !typing) buttons.type = words('type_instead');
  if (remedies.includes('choose') && canChoose) buttons.choose = words('choose_another');
  if (remedies.includes('end_other')) buttons.end_other = words('end_other');
  if (remedies.includes('retry')) buttons.check = words('check_connection');
  if (remedies.includes('sign_in')) buttons.sign_in = words('sign_in');
  if (remedies.includes('reload')) buttons.reload = words('reload');
  if (remedies.includes('copy') && requestId) buttons.copy = words('copy_details');
  const told = MESSAGE_MATTERS.has(code) && message ? message : words(code === 'openai_api_unavailable' && status === UNREACHABLE ? 'error_unreachable_line' : line);
  return view(words(headline), told, buttons, { isAlert: true, reference: requestId, disabled: waitS > 0 ? ['start'] : [] });
}

/** After a typed call it is a choice again whether to talk. @param {Pick<Call, 'typing'|'liveSinceMs'|'endedAtMs'|'endReason'>} call @param {Words} words @param {{hasTranscript: boolean, cost?: string, isFree?: boolean, endReason?: string}} around endReason: what an administrator said */
function ended(call, words, { hasTranscript, cost, isFree, endReason }) {
  const time = clockTime(call.endedAtMs - call.liveSinceMs);
  const isExplained = call.endReason === 'session_limit' || ENDED_BY_SERVER.has(call.endReason);
  const isAdministrators = call.endReason === 'administrator';
  const line = [
    isExplained && !isAdministrators ? words(`ended_by_${call.endReason}`) : '',
    isAdministrators && endReason ? words('ended_by_administrator_reason', { reason: endReason }) : '',
    words(isFree ? 'ended_line_free' : cost ? 'ended_line_cost' : 'ended_line', { time, cost: cost ?? '' }),
    hasTranscript ? words('ended_kept') : '',
  ];
  /** @type {View['buttons']} */
  const buttons = call.typing ? { start: words('start'), type: words('type_again') } : { start: words('start_again') };
  if (hasTranscript) buttons.download = words('download');
  return view(words(isAdministrators ? 'ended_by_administrator_headline' : 'ended'), line.filter(Boolean).join(' '), buttons);
}
