// @ts-check
// The pickers of microphone and speaker. Reads `select[name=microphone]` and `select[name=speaker]`, whose first option
// is the system's choice; keeps what is chosen. The speaker's is hidden where the browser lets nobody choose.

/** @typedef {import('./devices.js').Device} Device */
/** @typedef {import('./words.js').Words} Words */

/**
 * @param {HTMLElement} root
 * @param {import('./devices.js').Devices} devices
 * @param {Words} words
 */
export function showDevices(root, devices, words) {
  const microphone = /** @type {HTMLSelectElement} */ (root.querySelector('[name=microphone]'));
  const speaker = /** @type {HTMLSelectElement} */ (root.querySelector('[name=speaker]'));
  const canChooseSpeaker = 'setSinkId' in HTMLMediaElement.prototype;
  const show = () => {
    fill(microphone, devices.microphones, devices.preferences.get('microphone'), words);
    fill(speaker, devices.speakers, devices.preferences.get('speaker'), words);
    const hint = /** @type {HTMLElement} */ (root.querySelector('[data-part=devices-hint]'));
    hint.hidden = devices.microphones.length > 0;
  };
  microphone.addEventListener('change', () => devices.preferences.set('microphone', microphone.value));
  speaker.addEventListener('change', () => devices.preferences.set('speaker', speaker.value));
  /** @type {HTMLElement} */ (speaker.closest('.more__control')).hidden = !canChooseSpeaker;
  devices.addEventListener('change', show);
  show();
}

/** @param {HTMLSelectElement} select @param {readonly Device[]} list @param {string} chosen @param {Words} words */
function fill(select, list, chosen, words) {
  const options = list.map(({ id, label, isInUse }) => new Option(isInUse ? words('device_in_use', { name: label }) : label, id));
  select.replaceChildren(select.options[0], ...options);
  select.value = list.some(({ id }) => id === chosen) ? chosen : '';
}
