// @ts-check
// The states of the voice page as a table: (state, event) → state. Knows no document, timer or network.

/** @typedef {'idle'|'preparing'|'blocked'|'minting'|'connecting'|'live'|'reconnecting'|'failed'|'ended'} State */
/** @typedef {'start'|'start_typing'|'microphone_ready'|'microphone_refused'|'secret_issued'|'fall_back'|'connected'|'refused'|'lost'|'closed'|'hang_up'|'cancel'|'choose'} CallEvent */

/** @type {Readonly<Partial<Record<CallEvent, State>>>} */
const BEGIN = { start: 'preparing', start_typing: 'minting' };

/** @type {Readonly<Record<State, Partial<Record<CallEvent, State>>>>} */
export const TRANSITIONS = Object.freeze({
  idle: BEGIN,
  preparing: { microphone_ready: 'minting', microphone_refused: 'blocked', cancel: 'idle' },
  blocked: BEGIN,
  minting: { secret_issued: 'connecting', refused: 'failed', cancel: 'idle' },
  connecting: { connected: 'live', fall_back: 'minting', refused: 'failed', cancel: 'idle' },
  live: { hang_up: 'ended', closed: 'ended', lost: 'reconnecting' },
  reconnecting: { connected: 'live', refused: 'failed', hang_up: 'ended', closed: 'ended' },
  failed: { ...BEGIN, choose: 'idle' },
  ended: BEGIN,
});

/** @type {ReadonlySet<State>} States in which a call is being made or lasts, so that Start does nothing. */
export const BUSY_STATES = new Set(/** @type {State[]} */ (['preparing', 'minting', 'connecting', 'live', 'reconnecting']));

/** @type {ReadonlySet<State>} States of a conversation that has begun and is not over. */
export const BEGUN_STATES = new Set(/** @type {State[]} */ (['live', 'reconnecting']));

/** @type {ReadonlySet<string>} Reasons of an end that the page can learn only from the server. */
export const ENDED_BY_SERVER = new Set([
  'administrator',
  'time_limit',
  'idle',
  'budget',
  'policy_drift',
  'session_expired',
  'access_ended',
  'hung_up',
  'replaced',
  'unmonitored',
  'upstream_ended',
]);

/**
 * Return the state that follows; the same state when the event means nothing in it.
 * @param {State} state
 * @param {string} event
 * @returns {State}
 */
export function nextState(state, event) {
  const row = TRANSITIONS[state];
  return Object.hasOwn(row, event) ? /** @type {Record<string, State>} */ (row)[event] : state;
}
