// @ts-check
// The words of the page, translated by the server: fill in `{name}` places.

/** @typedef {(key: string, values?: Readonly<Record<string, string|number>>) => string} Words */

/**
 * @param {Readonly<Record<string, string>>} table
 * @returns {Words} a missing key comes back as itself, so that it is seen
 */
export function createWords(table) {
  return (key, values = {}) => {
    const text = Object.hasOwn(table, key) ? table[key] : key;
    return text.replace(/\{(\w+)\}/g, (place, name) => (Object.hasOwn(values, name) ? String(values[name]) : place));
  };
}

/** Minutes and seconds: 65,400 ms → "01:05". @param {number} ms */
export function clockTime(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return [Math.floor(seconds / 60), seconds % 60].map((part) => String(part).padStart(2, '0')).join(':');
}
