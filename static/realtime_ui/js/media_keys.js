// @ts-check
// Keys of headsets and keyboards, and the system's own view of the call: pause mutes and play unmutes. Knows no document.

/** @typedef {{agent: string, muted: boolean}|null} ShownCall null: there is none */

export class MediaKeys {
  #isShown = false;

  /**
   * @param {{onMute: (isMuted: boolean) => void, onEnd: () => void}} actions
   * @param {MediaSession|undefined} [session]
   */
  constructor({ onMute, onEnd }, session = navigator.mediaSession) {
    this.session = session;
    this.muted = false;
    /** @type {Readonly<Record<string, () => void>>} */
    this.actions = {
      play: () => onMute(false),
      pause: () => onMute(true),
      stop: onEnd,
      togglemicrophone: () => onMute(!this.muted),
      hangup: onEnd,
    };
  }

  /** @param {ShownCall} call */
  show(call) {
    if (!this.session) return;
    this.#listen(call !== null);
    this.session.playbackState = call ? (call.muted ? 'paused' : 'playing') : 'none';
    this.muted = call?.muted ?? false;
    void this.session.setMicrophoneActive?.(call !== null && !call.muted)?.catch?.(() => undefined);
    if (call && this.session.metadata?.title !== call.agent) this.session.metadata = new MediaMetadata({ title: call.agent });
    if (!call) this.session.metadata = null;
  }

  /** @param {boolean} isShown */
  #listen(isShown) {
    if (isShown === this.#isShown) return;
    this.#isShown = isShown;
    for (const [action, handle] of Object.entries(this.actions)) {
      try {
        this.session?.setActionHandler(/** @type {MediaSessionAction} */ (action), isShown ? handle : null);
      } catch {
        // This browser does not know the action.
      }
    }
  }
}
