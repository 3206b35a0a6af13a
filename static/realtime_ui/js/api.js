// @ts-check
// Our own server's routes, as the page uses them: ask for a client secret, report what happens to a call.

import { CallError, parseFailure } from './call_errors.js';

/** Longer than the server itself waits for anybody. */
export const REQUEST_TIMEOUT_MS = 15_000;
/** The server reaches a call over WebRTC a moment after it has begun. */
export const REACH_DELAYS_MS = Object.freeze([500, 1_500, 3_000]);
const CONFLICT = 409;

/**
 * @typedef {object} ApiConfig
 * @property {string} clientSecretUrl
 * @property {string} callEventsUrl with `{callId}` in it
 * @property {string} callToolsUrl with `{callId}` in it
 * @property {string} runToolUrl with `{name}` in it
 * @property {string} callListUrl
 * @property {string} hangUpUrl with `{callId}` in it
 * @property {string} commandsUrl with `{callId}` in it
 * @property {string} csrfHeader
 * @property {string} csrfToken
 * @property {number} [version] of the agent, where somebody tries one that is not published; 0 is none
 */
/** @typedef {{ephemeralKey: string, expiresAt?: number|string, sessionId?: string, model?: string, requestId?: string}} IssuedSecret */
/** @typedef {{type: 'connected'|'ended'|'failed'|'heartbeat', reason?: string, detail?: string}} CallReport */

/**
 * Ask for a client secret, right before connecting.
 * @param {ApiConfig} config
 * @param {string} agent slug
 * @param {AbortSignal} signal
 * @param {string} [voice] one that the agent offers; empty: the agent's own
 * @returns {Promise<IssuedSecret>}
 * @throws {CallError}
 */
export async function issueClientSecret(config, agent, signal, voice = '') {
  const wish = { agent, ...(config.version && { version: config.version }), ...(voice && { voice }) };
  const response = await post(config, config.clientSecretUrl, wish, { signal });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new CallError(parseFailure(response.status, body, response.headers));
  if (!body?.ephemeralKey) throw new CallError({ code: 'unknown', status: response.status, requestId: body?.requestId ?? '' });
  return body;
}

/**
 * Tell the server about a call. Never fails loudly: the server finds out by itself in the end.
 * @param {ApiConfig} config
 * @param {string} callId
 * @param {CallReport} report
 * @param {(facts: import('./call_facts.js').Facts) => void} [onFacts] told what the server knows of the call
 * @returns {Promise<string>} why the call has ended by what the server knows; empty while it lasts, or when it cannot be asked
 */
export async function reportCallEvent(config, callId, report, onFacts = () => {}) {
  const url = config.callEventsUrl.replace('{callId}', encodeURIComponent(callId));
  try {
    const response = await post(config, url, report, { keepalive: true });
    if (!response.ok) return '';
    const facts = await response.json();
    onFacts(facts);
    return facts.endReason || '';
  } catch {
    return '';
  }
}

/**
 * End every call of one's own that goes on, in whatever page or program. What cannot be ended is told by the next refusal.
 * @param {ApiConfig} config
 */
export async function endOwnCalls(config) {
  const response = await fetch(config.callListUrl, { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }).catch(() => null);
  const { results = [] } = response?.ok ? await response.json() : {};
  const live = results.filter((/** @type {{state: string, callId: string|null}} */ { state, callId }) => state === 'live' && callId);
  const url = (/** @type {string} */ callId) => config.hangUpUrl.replace('{callId}', encodeURIComponent(callId));
  await Promise.all(live.map((/** @type {{callId: string}} */ { callId }) => post(config, url(callId), {}, {}).catch(() => null)));
}

/**
 * Ask for another agent in a live call. Returns whether the server will see to it; the conversation tells when it has.
 * @param {ApiConfig} config
 * @param {string} callId
 * @param {string} agent slug
 */
export async function handOver(config, callId, agent) {
  const url = config.commandsUrl.replace('{callId}', encodeURIComponent(callId));
  const ask = () => post(config, url, { kind: 'agent', text: agent }, {}).catch(() => null);
  let response = await ask();
  for (const delayMs of REACH_DELAYS_MS) {
    if (response?.status !== CONFLICT) break;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    response = await ask();
  }
  return response?.ok ?? false;
}

/**
 * Ask what one has left; null when that cannot be told just now, which stops nobody from talking.
 * @param {string} url
 * @returns {Promise<Record<string, any>|null>}
 */
export async function fetchUsage(url) {
  try {
    const response = await fetch(url, { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/**
 * Ask which tools a call's model has called; null when that cannot be told just now.
 * @param {ApiConfig} config
 * @param {string} callId
 * @returns {Promise<import('./call_tools.js').ToolCall[]|null>}
 */
export async function fetchCallTools(config, callId) {
  try {
    const response = await fetch(toolsUrl(config, callId), { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    return response.ok ? (await response.json()).results : null;
  } catch {
    return null;
  }
}

/**
 * Say whether a tool that waits may run. One that could not be told waits on, and is asked about again.
 * @param {ApiConfig} config
 * @param {string} callId
 * @param {number} id
 * @param {boolean} approve
 */
export async function decideTool(config, callId, id, approve) {
  await post(config, `${toolsUrl(config, callId)}/${id}`, { approve }, {}).catch(() => undefined);
}

/**
 * Run a tool of a call that the server cannot see.
 * @param {ApiConfig} config
 * @param {string} callId
 * @param {import('./events.js').Item} item the model's function call
 * @returns {Promise<string>} what the model is to be told; empty when it is not the page's to run
 */
export async function runTool(config, callId, item) {
  const url = config.runToolUrl.replace('{name}', encodeURIComponent(item.name ?? ''));
  try {
    const response = await post(config, url, { callId, toolCallId: item.call_id, arguments: item.arguments ?? '{}' }, {});
    return response.ok ? (await response.json()).output : '';
  } catch {
    return '';
  }
}

/** @param {ApiConfig} config @param {string} callId */
function toolsUrl(config, callId) {
  return config.callToolsUrl.replace('{callId}', encodeURIComponent(callId));
}

/**
 * @param {ApiConfig} config
 * @param {string} url
 * @param {object} body
 * @param {RequestInit} options
 */
async function post(config, url, body, options) {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json', [config.csrfHeader]: config.csrfToken };
  const signal = AbortSignal.any([AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...(options.signal ? [options.signal] : [])]);
  try {
    return await fetch(url, { method: 'POST', credentials: 'same-origin', headers, body: JSON.stringify(body), ...options, signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new CallError({ code: 'network' });
  }
}
