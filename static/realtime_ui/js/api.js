// @ts-check
// Our own server's routes, as the page uses them: ask for a client secret, report what happens to a call.

import { CallError, parseFailure } from './call_errors.js';

/** Longer than the server itself waits for anybody. */
export const REQUEST_TIMEOUT_MS = 15_000;

/**
 * @typedef {object} ApiConfig
 * @property {string} clientSecretUrl
 * @property {string} callEventsUrl with `{callId}` in it
 * @property {string} csrfHeader
 * @property {string} csrfToken
 */
/** @typedef {{ephemeralKey: string, expiresAt?: number|string, sessionId?: string, model?: string, requestId?: string}} IssuedSecret */
/** @typedef {{type: 'connected'|'ended'|'failed'|'heartbeat', reason?: string, detail?: string}} CallReport */

/**
 * Ask for a client secret, right before connecting.
 * @param {ApiConfig} config
 * @param {string} agent slug
 * @param {AbortSignal} signal
 * @returns {Promise<IssuedSecret>}
 * @throws {CallError}
 */
export async function issueClientSecret(config, agent, signal) {
  const response = await post(config, config.clientSecretUrl, { agent }, { signal });
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
 * @returns {Promise<string>} why the call has ended by what the server knows; empty while it lasts, or when it cannot be asked
 */
export async function reportCallEvent(config, callId, report) {
  const url = config.callEventsUrl.replace('{callId}', encodeURIComponent(callId));
  try {
    const response = await post(config, url, report, { keepalive: true });
    return (response.ok && (await response.json()).endReason) || '';
  } catch {
    return '';
  }
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
