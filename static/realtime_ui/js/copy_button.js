// @ts-check
// Buttons that copy the text of another element: `<button data-copy="id" data-copied="Copied.">`. What the browser
// refuses to copy is selected instead, so that the person's own keys can.

/** @param {HTMLButtonElement} button */
async function copy(button) {
  const source = document.getElementById(button.dataset.copy ?? '');
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent ?? '');
    button.textContent = button.dataset.copied ?? button.textContent;
  } catch {
    getSelection()?.selectAllChildren(source);
  }
}

for (const button of document.querySelectorAll('button[data-copy]')) {
  if (button instanceof HTMLButtonElement) button.addEventListener('click', () => copy(button));
}
