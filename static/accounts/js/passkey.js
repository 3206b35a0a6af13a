// @ts-check
// Forms that carry a passkey: `<form data-passkey="create|get">` with a hidden input `credential`. What to ask the
// browser for comes from `data-options` (the id of a JSON script on the page) or `data-options-url` (asked for when it
// is needed). Problems are shown in the form's `[data-problem]`, in the words of `data-unsupported`, `data-cancelled`,
// `data-known` and `data-failed`. A ticked `passwordless` makes the passkey one that is enough by itself.

/** @typedef {{publicKey: any}} Options with its binary fields as base64url, as the server writes them */

/** @param {string} text base64url */
function bytesOf(text) {
  const base64 = text.replaceAll('-', '+').replaceAll('_', '/');
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** @param {ArrayBuffer | null | undefined} buffer */
function textOf(buffer) {
  if (!buffer) return undefined;
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @param {{id: string}[] | undefined} list */
const withBytes = (list) => list?.map((one) => ({ ...one, id: bytesOf(one.id) }));

/**
 * @param {Options} options
 * @param {boolean} passwordless
 */
async function create({ publicKey }, passwordless) {
  const selection = { ...publicKey.authenticatorSelection };
  selection.residentKey = passwordless ? 'required' : 'discouraged';
  selection.requireResidentKey = passwordless;
  if (passwordless) selection.userVerification = 'required';
  return navigator.credentials.create({
    publicKey: {
      ...publicKey,
      challenge: bytesOf(publicKey.challenge),
      user: { ...publicKey.user, id: bytesOf(publicKey.user.id) },
      excludeCredentials: withBytes(publicKey.excludeCredentials),
      authenticatorSelection: selection,
    },
  });
}

/** @param {Options} options */
async function get({ publicKey }) {
  return navigator.credentials.get({
    publicKey: { ...publicKey, challenge: bytesOf(publicKey.challenge), allowCredentials: withBytes(publicKey.allowCredentials) },
  });
}

/** @param {any} credential */
function written(credential) {
  const { response } = credential;
  const fields = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle'];
  const texts = fields.map((field) => [field, textOf(response[field])]).filter(([, text]) => text !== undefined);
  return JSON.stringify({
    type: credential.type,
    id: credential.id,
    rawId: textOf(credential.rawId),
    clientExtensionResults: credential.getClientExtensionResults(),
    response: Object.fromEntries(texts),
  });
}

/**
 * @param {HTMLFormElement} form
 * @returns {Promise<Options>}
 */
async function optionsFor(form) {
  const { options, optionsUrl } = form.dataset;
  if (!optionsUrl) return JSON.parse(document.getElementById(options ?? '')?.textContent ?? '');
  const answer = await fetch(optionsUrl, { headers: { Accept: 'application/json' } });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  return (await answer.json()).request_options;
}

/**
 * @param {HTMLFormElement} form
 * @param {unknown} error
 */
function wordsFor(form, error) {
  const { unsupported, cancelled, known, failed } = form.dataset;
  if (!('credentials' in navigator) || !('PublicKeyCredential' in window)) return unsupported;
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError' || name === 'AbortError') return cancelled;
  return name === 'InvalidStateError' ? known : failed;
}

/** @param {HTMLFormElement} form */
async function carry(form) {
  const problem = form.querySelector('[data-problem]');
  const button = form.querySelector('button[type=submit]');
  const field = form.elements.namedItem('credential');
  const alone = form.elements.namedItem('passwordless');
  if (!(button instanceof HTMLButtonElement) || !(field instanceof HTMLInputElement) || !problem) return;
  button.disabled = true;
  problem.textContent = '';
  try {
    const options = await optionsFor(form);
    const passwordless = alone instanceof HTMLInputElement && alone.checked;
    field.value = written(await (form.dataset.passkey === 'create' ? create(options, passwordless) : get(options)));
    form.submit();
  } catch (error) {
    problem.textContent = wordsFor(form, error) ?? '';
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll('form[data-passkey]')) {
  if (!(form instanceof HTMLFormElement)) continue;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    carry(form);
  });
}
