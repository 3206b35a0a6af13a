// @ts-check
// Join form fields to the choices they stand for: each `[data-preference]` shows its choice and keeps what is chosen.
// A field whose options are not known beforehand is somebody else's.

/**
 * @param {ParentNode} root
 * @param {import('./preferences.js').Preferences} preferences
 */
export function joinFields(root, preferences) {
  const fields = /** @type {NodeListOf<HTMLInputElement|HTMLSelectElement>} */ (root.querySelectorAll('[data-preference]'));
  const show = () => fields.forEach((field) => write(field, preferences.get(nameOf(field))));
  for (const field of fields) field.addEventListener('input', () => preferences.set(nameOf(field), read(field)));
  preferences.addEventListener('change', show);
  show();
}

/** @param {HTMLElement} field @returns {any} the choices differ in kind, and their fields with them */
function nameOf(field) {
  return field.dataset.preference;
}

/** @param {HTMLInputElement|HTMLSelectElement} field @returns {string|number|boolean} */
function read(field) {
  if (field.type === 'checkbox') return /** @type {HTMLInputElement} */ (field).checked;
  return field.type === 'range' ? Number(field.value) : field.value;
}

/** @param {HTMLInputElement|HTMLSelectElement} field @param {string|number|boolean} value */
function write(field, value) {
  if (field.type === 'checkbox') /** @type {HTMLInputElement} */ (field).checked = Boolean(value);
  else if (field.value !== String(value)) field.value = String(value);
}
