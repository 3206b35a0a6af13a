// @ts-check
// Keys of the voice page: M mutes, Escape stops the reply. Letters do nothing in fields or with a modifier.

/**
 * @param {{onMute: () => void, onStop: () => void}} actions
 */
export function listenForShortcuts({ onMute, onStop }) {
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') onStop();
    if (event.key.toLowerCase() === 'm' && !event.repeat && !hasModifier(event) && !isField(event.target)) onMute();
  });
}

/** @param {KeyboardEvent} event */
function hasModifier(event) {
  return event.ctrlKey || event.metaKey || event.altKey;
}

/** @param {EventTarget|null} target */
function isField(target) {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}
