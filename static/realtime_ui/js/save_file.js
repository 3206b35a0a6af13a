// @ts-check
// Give the person a file to keep, made on this page.

/** @param {string} name @param {string} type @param {string} text */
export function saveFile(name, type, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
