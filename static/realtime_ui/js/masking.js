// @ts-check
// Texts without what would let somebody in: client secrets, keys, and the password of a sound connection.

/** @type {readonly [RegExp, string][]} */
const SECRETS = [
  [/\b(ek|vak|sk)_[\w-]+/g, '$1_…'],
  [/\bsk-[\w-]+/g, 'sk-…'],
  [/(a=ice-pwd:)[^\s\\"]+/g, '$1…'],
  [/(a=crypto:\S+ \S+ inline:)[^\s\\"]+/g, '$1…'],
  [/((?:Bearer|Basic)\s+)[^\s"]+/gi, '$1…'],
];

/** @param {string} text */
export function maskText(text) {
  return SECRETS.reduce((masked, [secret, sign]) => masked.replace(secret, sign), text);
}
