// @ts-check
// Ways out of a refused microphone that need no settings: the browser's own button for it, where there is one, and the
// news that somebody allowed it in the settings after all.

/**
 * Show or remove `<microphone>`, which asks anew even after a refusal. Its elder `<usermedia>` speaks of the camera, too.
 * @param {HTMLElement} place
 * @param {boolean} isShown
 * @param {MediaTrackConstraints} wish
 * @param {(stream: MediaStream) => void} onStream
 */
export function showOwnButton(place, isShown, wish, onStream) {
  if (!('HTMLMicrophoneElement' in globalThis) || isShown === place.hasChildNodes()) return;
  place.replaceChildren();
  if (!isShown) return;
  const button = /** @type {HTMLElement & {stream: MediaStream|null, setConstraints?: (wish: MediaStreamConstraints) => void}} */ (document.createElement('microphone'));
  button.setConstraints?.({ audio: wish });
  button.addEventListener('stream', () => button.stream && onStream(button.stream));
  place.append(button);
}

/**
 * Tell when the permission for the microphone changes; where the browser cannot say, never.
 * @param {(isAllowed: boolean) => void} onChange
 * @param {Permissions|undefined} [permissions]
 */
export async function watchPermission(onChange, permissions = navigator.permissions) {
  const status = await permissions?.query({ name: 'microphone' }).catch(() => null);
  status?.addEventListener('change', () => onChange(status.state === 'granted'));
}
