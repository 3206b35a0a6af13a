// @ts-check
// Keys of the voice page: M mutes, Escape stops the reply, ? shows help. Letters do nothing in fields or with a modifier,
// or where the person switched them off; nothing happens behind a dialog.

/**
 * @param {{onMute: () => void, onStop: () => void, onHelp: () => void, areLettersAllowed: () => boolean}} actions
 */
export function listenForShortcuts({ onMute, onStop, onHelp, areLettersAllowed }) {
  document.addEventListener('keydown', (event) => {
    if (isBehindDialog()) return; // Escape closes that
    if (event.key === 'Escape') onStop();
    if (event.repeat || hasModifier(event) || isField(event.target) || !areLettersAllowed()) return;
    if (event.key.toLowerCase() === 'm') onMute();
    if (event.key === '?') onHelp();
  });
}

export function isBehindDialog() {
  return document.querySelector('dialog[open], :popover-open') !== null;
}

/** @param {KeyboardEvent} event */
export function hasModifier(event) {
  return event.ctrlKey || event.metaKey || event.altKey;
}

/** @param {EventTarget|null} target */
export function isField(target) {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}
