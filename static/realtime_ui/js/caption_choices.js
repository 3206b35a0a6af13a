// @ts-check
// How the conversation is shown, as the person chose: `body[data-captions]` and `body[data-large-text]`, "on" or "off".

/** @typedef {import('./preferences.js').Preferences} Preferences */

/** @param {Preferences} preferences */
export function showCaptionChoices(preferences) {
  const show = () => {
    document.body.dataset.captions = preferences.get('captions') ? 'on' : 'off';
    document.body.dataset.largeText = preferences.get('largeText') ? 'on' : 'off';
  };
  preferences.addEventListener('change', show);
  show();
}
