// @ts-check
// The connection doctor: what may keep somebody from talking, looked at one by one, each with what to do about it.
// Knows no document; everything that touches the browser or the network is passed in.

import { parseFailure } from './call_errors.js';
import { MicrophoneError } from './microphone_errors.js';

/** @typedef {'good'|'warning'|'bad'|'skipped'} Verdict */
/** @typedef {{verdict: Verdict, outcome: string, values?: Record<string, string|number>, detail?: string}} Finding outcome: with the check's name the key of its words; detail: for those who help */
/** @typedef {Finding & {name: string}} Result */
/**
 * @typedef {object} Tools
 * @property {boolean} isSecure
 * @property {() => Promise<PermissionState|'unknown'>} permission for the microphone
 * @property {() => Promise<{stream: MediaStream, free: () => void}>} openMicrophone
 * @property {(stream: MediaStream, signal: AbortSignal) => Promise<number>} loudest RMS, as soon as something is heard or after a few seconds
 * @property {(signal: AbortSignal) => Promise<Response>} askHealth
 * @property {(signal: AbortSignal) => Promise<Response>} rehearse the dry run of a client secret
 * @property {(signal: AbortSignal) => Promise<string>} openSocket resolves with the code of the first thing said on it
 * @property {(signal: AbortSignal) => Promise<{kinds: string[]}>} loopBack a sound connection from this page to itself
 * @property {() => number} now
 */

export const CHECK_TIMEOUT_MS = 10_000;
/** The first word or so; a quiet room is below it. */
export const HEARD_RMS = 0.01;
export const CLOCK_TOLERANCE_MS = 30_000;

/** @typedef {(tools: Tools, signal: AbortSignal, found: Map<string, any>) => Promise<Finding>} Check found: what earlier checks leave to later ones */
/** @type {Readonly<Record<string, Check>>} */
export const CHECKS = Object.freeze({
  secure: async ({ isSecure }) => (isSecure ? good('yes') : bad('no')),
  permission: checkPermission,
  microphone: checkMicrophone,
  level: checkLevel,
  server: checkServer,
  clock: checkClock,
  allowed: checkAllowed,
  socket: checkSocket,
  webrtc: checkWebRtc,
});

/**
 * Look at everything, in order. Frees the microphone whatever happens.
 * @param {Tools} tools
 * @param {(name: string, result: Result|null) => void} tell null: this one is being looked at
 * @param {AbortSignal} signal
 * @returns {Promise<Result[]>} of what was looked at before somebody stopped it
 */
export async function examine(tools, tell, signal) {
  /** @type {Map<string, any>} */
  const found = new Map();
  /** @type {Result[]} */
  const results = [];
  try {
    for (const [name, check] of Object.entries(CHECKS)) {
      if (signal.aborted) break;
      tell(name, null);
      const result = { name, ...(await finding(check, tools, signal, found)) };
      results.push(result);
      tell(name, result);
    }
  } finally {
    found.get('microphone')?.free();
  }
  return results;
}

/** @param {Check} check @param {Tools} tools @param {AbortSignal} signal @param {Map<string, any>} found @returns {Promise<Finding>} */
async function finding(check, tools, signal, found) {
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(CHECK_TIMEOUT_MS)]);
  try {
    return await Promise.race([check(tools, timeout, found), aborted(timeout)]);
  } catch (error) {
    return bad('broken', { detail: error instanceof Error ? error.name : '' });
  }
}

/** @type {Check} */
async function checkPermission({ permission }) {
  const state = await permission();
  if (state === 'denied') return bad('denied');
  return state === 'granted' ? good('granted') : { verdict: 'good', outcome: 'open', detail: state };
}

/** @type {Check} */
async function checkMicrophone({ openMicrophone }, signal, found) {
  try {
    const opening = openMicrophone();
    signal.addEventListener('abort', () => found.has('microphone') || opening.then((late) => late.free(), () => {})); // nobody waits for it any more
    const microphone = await opening;
    found.set('microphone', microphone);
    return good('open', { values: { name: microphone.stream.getAudioTracks()[0].label } });
  } catch (error) {
    if (error instanceof MicrophoneError) return bad(error.problem);
    throw error;
  }
}

/** @type {Check} */
async function checkLevel({ loudest }, signal, found) {
  const microphone = found.get('microphone');
  if (!microphone) return { verdict: 'skipped', outcome: 'skipped' };
  const level = await loudest(microphone.stream, signal);
  const detail = `RMS ${level.toFixed(4)}`;
  return level >= HEARD_RMS ? good('heard', { detail }) : { verdict: 'warning', outcome: 'silent', detail };
}

/** @type {Check} */
async function checkServer({ askHealth, now }, signal, found) {
  const askedMs = now();
  const response = await askHealth(signal).catch(() => null);
  if (!response) return bad('unreachable');
  found.set('serverMs', { saidMs: Date.parse(response.headers.get('Date') ?? ''), askedMs, answeredMs: now() });
  const { reasons = {} } = await response.json().catch(() => ({}));
  const detail = `${response.status} ${Object.keys(reasons).join(' ')} ${now() - askedMs} ms`;
  return response.ok ? good('ready', { detail }) : bad('unready', { detail });
}

/** The server's clock tells whole seconds, somewhere between question and answer. @type {Check} */
async function checkClock(_, __, found) {
  const { saidMs, askedMs, answeredMs } = found.get('serverMs') ?? {};
  if (!saidMs) return { verdict: 'skipped', outcome: 'skipped' };
  const wrongMs = Math.max(0, askedMs - saidMs - 1000, saidMs - answeredMs);
  const seconds = Math.round(wrongMs / 1000);
  if (wrongMs <= CLOCK_TOLERANCE_MS) return good('right', { detail: `${seconds} s` });
  return { verdict: 'warning', outcome: 'wrong', values: { n: seconds }, detail: `${seconds} s` };
}

/** @type {Check} */
async function checkAllowed({ rehearse }, signal) {
  const response = await rehearse(signal).catch(() => null);
  if (!response) return bad('unreachable');
  const body = await response.json().catch(() => null);
  if (response.ok) return good('yes', { detail: `${body?.agent} ${body?.model} ${body?.requestId}` });
  const { code, message, requestId } = parseFailure(response.status, body, response.headers);
  return bad('no', { values: { reason: message }, detail: `${response.status} ${code} ${requestId}` });
}

/** The server lets a page without a secret in, to tell it that it has none: so the way is open. @type {Check} */
async function checkSocket({ openSocket }, signal) {
  const said = await openSocket(signal).catch(() => null);
  return said === null ? bad('blocked') : good('open', { detail: said });
}

/** @type {Check} */
async function checkWebRtc({ loopBack }, signal) {
  const { kinds } = await loopBack(signal);
  const detail = kinds.join(' ') || 'no candidates';
  return kinds.some((kind) => kind.includes('udp')) ? good('open', { detail }) : { verdict: 'warning', outcome: 'no_udp', detail };
}

/** @param {string} outcome @param {Partial<Finding>} [more] @returns {Finding} */
function good(outcome, more = {}) {
  return { verdict: 'good', outcome, ...more };
}

/** @param {string} outcome @param {Partial<Finding>} [more] @returns {Finding} */
function bad(outcome, more = {}) {
  return { verdict: 'bad', outcome, ...more };
}

/** @param {AbortSignal} signal @returns {Promise<never>} */
function aborted(signal) {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
