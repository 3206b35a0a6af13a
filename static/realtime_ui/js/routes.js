// @ts-check
// Which way a call goes: WebRTC, or WebSocket where the other cannot be had or has failed here. Knows no transport.
// Emits `change` when what is told of it differs.

/** @typedef {'webrtc'|'websocket'} Kind */
/** @typedef {''|'missing'|'unreachable'|'broke'} Why why it is not WebRTC although nobody chose so */

/** What a browser hears when this network or this voice service has no WebRTC for it. */
const UNREACHABLE = new Set(['webrtc_connection_failed', 'invalid_sdp', 'sdp_policy', 'unsupported_media_type']);

export class Routes extends EventTarget {
  #isUnreachable = false;
  #isSuspect = false;

  /**
   * @param {import('./preferences.js').Preferences} preferences
   * @param {{standard: Kind, hasWebRtc?: boolean}} about standard: the server's choice for those who have made none
   */
  constructor(preferences, { standard, hasWebRtc = typeof RTCPeerConnection !== 'undefined' }) {
    super();
    this.preferences = preferences;
    this.standard = standard;
    this.hasWebRtc = hasWebRtc;
    preferences.addEventListener('change', (event) => {
      if (/** @type {CustomEvent} */ (event).detail === 'transport') this.forget();
    });
  }

  /** @returns {Kind} */
  get kind() {
    if (this.why) return 'websocket';
    return this.#chosen === 'websocket' ? 'websocket' : 'webrtc';
  }

  /** @returns {Why} */
  get why() {
    if (!this.#isAutomatic || this.standard === 'websocket') return '';
    if (!this.hasWebRtc) return 'missing';
    if (this.#isUnreachable) return 'unreachable';
    return this.#isSuspect || this.preferences.get('webRtcBroke') ? 'broke' : '';
  }

  /** A call could not be set up. Returns whether there is another way now. @param {string} code */
  fallBack(code) {
    if (this.kind === 'websocket' || !this.#isAutomatic || !UNREACHABLE.has(code)) return false;
    this.#isUnreachable = true;
    this.dispatchEvent(new Event('change'));
    return true;
  }

  /** Sound over WebRTC died in the middle of a call. Whose fault that was shows when it is tried the other way. */
  noteBroken() {
    if (this.kind !== 'webrtc' || !this.#isAutomatic) return;
    this.#isSuspect = true;
    this.dispatchEvent(new Event('change'));
  }

  /** The other way worked, so the next call does not go by WebRTC; or neither did. @param {boolean} isConnected */
  settle(isConnected) {
    if (!this.#isSuspect) return;
    this.#isSuspect = false;
    this.preferences.set('webRtcBroke', isConnected);
    this.dispatchEvent(new Event('change'));
  }

  /** Try WebRTC again. */
  forget() {
    this.#isUnreachable = this.#isSuspect = false;
    this.preferences.set('webRtcBroke', false);
    this.dispatchEvent(new Event('change'));
  }

  get #isAutomatic() {
    return this.preferences.get('transport') === 'automatic';
  }

  /** @returns {string} */
  get #chosen() {
    return this.#isAutomatic ? this.standard : this.preferences.get('transport');
  }
}
