// @ts-check
// One call of one's own: loads the page anew when the call has ended, and when its last words have been written. Reads
// `data-stream`, `data-last`, `data-call`, `data-state`, `data-active` (when something was last said) of `.calls`.

import '../../voiceagent/js/admin_times.js';
import { EventStream } from '../../voiceagent/js/event_stream.js';

const { dataset } = /** @type {HTMLElement} */ (document.querySelector('.calls'));
const load = () => location.reload();

/** @param {{id: number, state: string, activeAt: string|null}} call */
function take(call) {
  if (call.id !== Number(dataset.call) || call.state === 'live') return;
  const isNews = call.state !== dataset.state || Date.parse(call.activeAt ?? '') > Date.parse(dataset.active ?? '');
  if (isNews) load();
}

if (dataset.stream) new EventStream(dataset.stream, { call: take }, { last: dataset.last, poll: load });
