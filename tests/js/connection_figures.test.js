import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isShaky, readFigures } from '../../static/realtime_ui/js/connection_figures.js';
import { REPEAT_AFTER_MS, StatusLine } from '../../static/realtime_ui/js/status_line.js';

const pair = (seconds, nominated = true) => ({ type: 'candidate-pair', nominated, currentRoundTripTime: seconds });
const inbound = (packetsLost, packetsReceived) => ({ type: 'inbound-rtp', packetsLost, packetsReceived });

test('item 50: round trip is that of the pair in use, loss that since the report before, the worse way', () => {
  const first = readFigures([pair(0.0421), pair(9, false), inbound(10, 90)]);
  assert.deepEqual([first.rttMs, first.lossPercent], [42, 10]);
  const second = readFigures([pair(0.05), inbound(10, 190), { type: 'remote-inbound-rtp', fractionLost: 0.02 }], first.counted);
  assert.deepEqual([second.rttMs, second.lossPercent], [50, 2]);
});

test('item 50: what the browser does not count is not known', () => {
  assert.deepEqual(readFigures([{ type: 'codec' }]), { rttMs: null, lossPercent: null, counted: { lost: 0, received: 0 } });
});

test('item 50: above 5 % or 400 ms the connection is unstable', () => {
  const shaky = (rttMs, lossPercent) => isShaky({ rttMs, lossPercent });
  assert.deepEqual([shaky(400, 5), shaky(401, 0), shaky(10, 5.1), shaky(null, null)], [false, true, true, false]);
});

test('item 64: a text is not said again within a second, and later only if it still holds', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 0;
  const said = [];
  const element = { get textContent() { return said.at(-1) ?? ''; }, set textContent(text) { said.push(text); } };
  const line = new StatusLine(element, () => nowMs);
  for (const text of ['Listening', 'Hearing you…', 'Listening', 'Thinking…']) line.say(text);
  context.mock.timers.tick(REPEAT_AFTER_MS);
  assert.deepEqual(said, ['Listening', 'Hearing you…', 'Thinking…']);
  nowMs = 100;
  line.say('Listening');
  nowMs = REPEAT_AFTER_MS;
  context.mock.timers.tick(REPEAT_AFTER_MS - 100);
  assert.deepEqual(said.slice(3), ['Listening']);
});
