// @ts-check
// The ways that a call can go, by one interface: over WebRTC, or over WebSocket. What only one of them needs is fetched
// when it is needed.

import { CallError } from './call_errors.js';
import { createWebRtcTransport } from './transport.js';

/** @typedef {import('./transport.js').Transport} Transport */
/** @typedef {import('./transport.js').TransportOptions} TransportOptions */
/** @typedef {import('./socket_sound.js').WorkletUrls & {sdkUrl: string, callsUrl: string, socketUrl: string}} TransportUrls as the server gives them */

/**
 * Make a transport of a kind that is not connected yet.
 * @param {TransportUrls} urls
 * @param {import('./routes.js').Kind} kind
 * @param {TransportOptions} options
 * @returns {Promise<Transport>}
 * @throws {CallError} `sdk_missing`, `network`
 */
export async function createTransport(urls, kind, options) {
  if (kind === 'webrtc') return createWebRtcTransport(urls.sdkUrl, addressOf(urls.callsUrl, options), options);
  const { createSocketTransport } = await import('./socket_transport.js').catch(() => {
    throw new CallError({ code: 'network' });
  });
  return createSocketTransport({ ...urls, socketUrl: addressOf(urls.socketUrl, options).replace(/^http/, 'ws') }, options);
}

/** Where a call is made, and which one it goes on with. @param {string} path @param {TransportOptions} options */
function addressOf(path, { continues }) {
  const url = new URL(path, location.origin);
  if (continues) url.searchParams.set('continues', continues);
  return url.href;
}
