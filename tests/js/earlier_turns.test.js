import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isRepeated, repeatTurns } from '../../static/realtime_ui/js/earlier_turns.js';
import { Transcript } from '../../static/realtime_ui/js/transcript.js';

const turn = (who, text) => ({ who, text });

test('words of both sides are repeated in order, in the shape that each side writes in', () => {
  const events = repeatTurns([turn('user', 'When do you open?'), turn('tool', 'opening hours'), turn('note', 'reconnected'), turn('assistant', 'At nine.'), turn('user', '')]);
  assert.deepEqual(events.map(({ type, item }) => [type, item.role, item.content]), [
    ['conversation.item.create', 'user', [{ type: 'input_text', text: 'When do you open?' }]],
    ['conversation.item.create', 'assistant', [{ type: 'output_text', text: 'At nine.' }]],
  ]);
});

test('of a long conversation the newest part is repeated', () => {
  const many = repeatTurns(Array.from({ length: 100 }, (_, index) => turn('user', `Number ${index}`)));
  assert.deepEqual([many.length, many.at(-1).item.content[0].text], [40, 'Number 99']);
  const long = repeatTurns(Array.from({ length: 5 }, () => turn('user', 'x'.repeat(3_000))));
  assert.equal(long.length, 2);
});

test('what was repeated is not shown twice, and what follows it is shown', () => {
  const [{ item }] = repeatTurns([turn('user', 'Hello')]);
  assert.ok(isRepeated(item.id));
  const transcript = new Transcript();
  transcript.apply({ type: 'conversation.item.added', previous_item_id: null, item });
  transcript.apply({ type: 'conversation.item.added', previous_item_id: item.id, item: { id: 'b', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Again' }] } });
  assert.deepEqual(transcript.turns().map((shown) => shown.id), ['b']);
});
