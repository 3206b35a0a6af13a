import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BUSY_STATES, nextState, TRANSITIONS } from '../../static/realtime_ui/js/call_state.js';

const EVENTS = ['start', 'start_typing', 'microphone_ready', 'microphone_refused', 'secret_issued', 'fall_back', 'connected', 'refused', 'lost', 'closed', 'hang_up', 'cancel', 'choose'];

// Written out once more by hand: a slip in the table must not be its own proof.
const EXPECTED = {
  idle: { start: 'preparing', start_typing: 'minting' },
  preparing: { microphone_ready: 'minting', microphone_refused: 'blocked', cancel: 'idle' },
  blocked: { start: 'preparing', start_typing: 'minting' },
  minting: { secret_issued: 'connecting', refused: 'failed', cancel: 'idle' },
  connecting: { connected: 'live', fall_back: 'minting', refused: 'failed', cancel: 'idle' },
  live: { hang_up: 'ended', closed: 'ended', lost: 'reconnecting' },
  reconnecting: { connected: 'live', refused: 'failed', hang_up: 'ended', closed: 'ended' },
  failed: { start: 'preparing', start_typing: 'minting', choose: 'idle' },
  ended: { start: 'preparing', start_typing: 'minting' },
};

for (const state of Object.keys(EXPECTED)) {
  for (const event of EVENTS) {
    const expected = EXPECTED[state][event] ?? state;
    test(`${state} and ${event} give ${expected}`, () => assert.equal(nextState(state, event), expected));
  }
}

test('an unknown event changes nothing in any state', () => {
  for (const state of Object.keys(EXPECTED)) {
    for (const event of ['nonsense', '', 'constructor', '__proto__']) assert.equal(nextState(state, event), state);
  }
});

test('every state can be reached and left', () => {
  const reached = new Set(Object.values(TRANSITIONS).flatMap((row) => Object.values(row)));
  for (const state of Object.keys(EXPECTED)) {
    assert.ok(reached.has(state), `${state} is never reached`);
    assert.ok(Object.keys(TRANSITIONS[state]).length > 0, `${state} is a trap`);
  }
});

test('a state is busy just when Start would do nothing in it', () => {
  for (const state of Object.keys(EXPECTED)) assert.equal(BUSY_STATES.has(state), nextState(state, 'start') === state);
});
