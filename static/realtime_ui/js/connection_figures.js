// @ts-check
// How good the connection of a live call is: round trip and loss, by what the browser counts. Knows no document.

/** @typedef {{lost: number, received: number}} Counted */
/** @typedef {{rttMs: number|null, lossPercent: number|null, counted: Counted}} Figures null: not known */

const MAX_RTT_MS = 400;
const MAX_LOSS_PERCENT = 5;
const NOTHING_COUNTED = Object.freeze({ lost: 0, received: 0 });

/**
 * Read a report of `getStats()`.
 * @param {Iterable<Record<string, any>>} report
 * @param {Counted} [earlier] what the report before had counted: loss is that since then
 * @returns {Figures}
 */
export function readFigures(report, earlier = NOTHING_COUNTED) {
  /** @type {Figures} */
  const figures = { rttMs: null, lossPercent: null, counted: { ...NOTHING_COUNTED } };
  /** @type {number[]} */
  const losses = [];
  for (const entry of report) {
    if (entry.type === 'candidate-pair' && entry.nominated && entry.currentRoundTripTime !== undefined) figures.rttMs = Math.round(entry.currentRoundTripTime * 1000);
    if (entry.type === 'remote-inbound-rtp' && entry.fractionLost !== undefined) losses.push(entry.fractionLost * 100);
    if (entry.type === 'inbound-rtp') figures.counted = { lost: figures.counted.lost + entry.packetsLost, received: figures.counted.received + entry.packetsReceived };
  }
  const lost = figures.counted.lost - earlier.lost;
  const sent = lost + figures.counted.received - earlier.received;
  if (sent > 0) losses.push((Math.max(0, lost) / sent) * 100);
  if (losses.length) figures.lossPercent = Math.round(Math.max(...losses) * 10) / 10;
  return figures;
}

/** @param {Pick<Figures, 'rttMs'|'lossPercent'>} figures */
export function isShaky({ rttMs, lossPercent }) {
  return (rttMs ?? 0) > MAX_RTT_MS || (lossPercent ?? 0) > MAX_LOSS_PERCENT;
}
