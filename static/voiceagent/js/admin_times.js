// @ts-check
// Shows each <time datetime> of the administration in the reader's own time zone and names the zone; the time in UTC
// stands in its title. Puts that zone into the filter by days. Without this script all of it is in the server's zone.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: zone });

for (const element of document.querySelectorAll("time[datetime]")) {
  element.textContent = format.format(new Date(/** @type {HTMLTimeElement} */ (element).dateTime));
}
for (const element of document.querySelectorAll("[data-zone-name]")) {
  element.textContent = zone;
}
for (const element of document.querySelectorAll("input[data-zone]")) {
  /** @type {HTMLInputElement} */ (element).value = zone;
}
