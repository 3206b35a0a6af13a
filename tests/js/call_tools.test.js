import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { ASK_EVERY_MS, CallTools, readableArguments, RUN_AFTER_MS } from '../../static/realtime_ui/js/call_tools.js';

const ITEM = { id: 'item_1', type: 'function_call', status: 'completed', name: 'create_booking', call_id: 'call_1', arguments: '{"name":"Ann"}' };
const CALLED = { type: 'response.output_item.done', item: ITEM };
const ANSWERED = { type: 'conversation.item.added', item: { id: 'item_2', type: 'function_call_output', call_id: 'call_1', output: '{}' } };
const WAITING = { id: 7, toolCallId: 'call_1', publicName: 'Book', arguments: '', state: 'waiting', approval: 'person', approved: null };

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
});

/** Tools of a call whose server knows `rows`, and what was done. */
function watched(rows, output = '') {
  const done = [];
  const tools = new CallTools({
    list: async () => rows.now,
    decide: (id, approve) => done.push(['decide', id, approve]),
    run: async (item) => (done.push(['run', item.name]), output),
    answer: (toolCallId, told) => done.push(['answer', toolCallId, told]),
  });
  const shown = [];
  tools.addEventListener('change', () => shown.push(tools.waiting?.id ?? null));
  return { tools, done, shown };
}

/** Let some time go by, and everybody answer. */
async function pass(ms) {
  for (let left = ms; left > 0; left -= ASK_EVERY_MS) {
    mock.timers.tick(Math.min(left, ASK_EVERY_MS));
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  }
}

test('a tool that waits for the person is shown with what the model wants, and their word is told once', async () => {
  const { tools, done, shown } = watched({ now: [WAITING] });
  tools.note(CALLED);
  await pass(ASK_EVERY_MS);
  assert.equal(tools.waiting?.arguments, '{"name":"Ann"}');
  await tools.decide(true);
  await tools.decide(true);
  assert.deepEqual(done, [['decide', 7, true]]);
  assert.deepEqual(shown, [7, null]);
});

for (const [words, change] of [['staff', { approval: 'staff' }], ['nobody any more', { approved: true }], ['nobody', { state: 'running' }]]) {
  test(`what waits for ${words} is not shown`, async () => {
    const { tools, shown } = watched({ now: [{ ...WAITING, ...change }] });
    tools.note(CALLED);
    await pass(ASK_EVERY_MS * 3);
    assert.deepEqual(shown, []);
  });
}

test('what is answered, or over, is shown no longer and not asked about', async () => {
  for (const end of [(tools) => tools.note(ANSWERED), (tools) => tools.stop()]) {
    const { tools, shown } = watched({ now: [WAITING] });
    tools.note(CALLED);
    await pass(ASK_EVERY_MS);
    end(tools);
    await pass(ASK_EVERY_MS * 3);
    assert.deepEqual(shown, [7, null]);
  }
});

test('a tool of a call that the server cannot see is run once by the page, which tells the model', async () => {
  const { tools, done } = watched({ now: [] }, '{"booked":true}');
  tools.note(CALLED);
  await pass(RUN_AFTER_MS - ASK_EVERY_MS);
  assert.deepEqual(done, []);
  await pass(RUN_AFTER_MS);
  assert.deepEqual(done, [['run', 'create_booking'], ['answer', 'call_1', '{"booked":true}']]);
});

test('what the server runs itself, or could not be asked about, the page leaves alone', async () => {
  for (const rows of [[{ ...WAITING, state: 'running' }], null]) {
    const { tools, done } = watched({ now: rows });
    tools.note(CALLED);
    await pass(RUN_AFTER_MS * 2);
    assert.deepEqual(done, []);
  }
});

test('a refusal of the server is no answer to the model', async () => {
  const { tools, done } = watched({ now: [] }, '');
  tools.note(CALLED);
  await pass(RUN_AFTER_MS * 2);
  assert.ok(done.length > 0);
  assert.ok(done.every(([what]) => what === 'run'));
});

test('arguments are made readable, whatever they are', () => {
  assert.deepEqual(readableArguments('{"start_date":"2026-12-01","seats":2}'), [['start date', '2026-12-01'], ['seats', '2']]);
  assert.deepEqual(readableArguments('no JSON'), []);
  assert.deepEqual(readableArguments(''), []);
});
