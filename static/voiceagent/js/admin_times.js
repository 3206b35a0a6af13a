// @ts-check
// Shows the times of a page in the reader's own time zone, names the zone, and puts it into filters by days. Without
// this script all of it is in the server's zone.

import { showLocalTimes, zone } from './local_times.js';

showLocalTimes(document);
for (const element of document.querySelectorAll('[data-zone-name]')) {
  element.textContent = zone;
}
for (const element of document.querySelectorAll('input[data-zone]')) {
  /** @type {HTMLInputElement} */ (element).value = zone;
}
