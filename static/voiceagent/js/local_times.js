// @ts-check
// Shows each `<time datetime>` of a part of a page in the reader's own time zone; the time in UTC stands in its title.

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const format = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: zone });

/** @param {ParentNode} part */
export function showLocalTimes(part) {
  for (const element of part.querySelectorAll('time[datetime]')) {
    element.textContent = format.format(new Date(/** @type {HTMLTimeElement} */ (element).dateTime));
  }
}
