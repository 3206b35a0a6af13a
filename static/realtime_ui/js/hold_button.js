// @ts-check
// A button that counts while it is held: by mouse, finger or the space bar. Whatever takes the attention away lets go:
// another window, a call from the system, a hidden tab. A click that no press came before, as screen readers and Enter
// make it, holds until the next one.

import { hasModifier, isBehindDialog, isField } from './shortcuts.js';

/**
 * @param {HTMLButtonElement} button
 * @param {{onPress: () => void, onRelease: () => void, isKeyAllowed: () => boolean}} actions isKeyAllowed: whether the space bar may be used outside of the button
 */
export function listenForHold(button, { onPress, onRelease, isKeyAllowed }) {
  let isHeld = false;
  const press = () => {
    if (isHeld || button.hidden || button.disabled) return;
    isHeld = true;
    onPress();
  };
  const release = () => {
    if (!isHeld) return;
    isHeld = false;
    onRelease();
  };
  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  });
  for (const type of ['pointerup', 'pointercancel', 'lostpointercapture']) button.addEventListener(type, release);
  button.addEventListener('contextmenu', (event) => event.preventDefault()); // a finger that rests asks for it
  button.addEventListener('click', (event) => {
    if (event.detail === 0) (isHeld ? release : press)();
  });
  document.addEventListener('keydown', (event) => {
    if (!isSpace(event) || button.hidden || !(event.target === button || (isKeyAllowed() && isFree(event.target)))) return;
    event.preventDefault();
    if (!event.repeat) press();
  });
  document.addEventListener('keyup', (event) => {
    if (!isSpace(event) || !isHeld) return;
    event.preventDefault(); // no click of the button itself
    release();
  });
  addEventListener('blur', release);
  document.addEventListener('visibilitychange', release);
}

/** @param {KeyboardEvent} event */
function isSpace(event) {
  return event.code === 'Space' && !hasModifier(event);
}

/** Whether a key there means nothing yet. @param {EventTarget|null} target */
function isFree(target) {
  return !isBehindDialog() && !isField(target) && !(target instanceof HTMLElement && target.closest('button, a, summary, [role=button]'));
}
