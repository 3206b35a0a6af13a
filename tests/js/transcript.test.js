import assert from 'node:assert/strict';
import { test } from 'node:test';

import { textOf, Transcript } from '../../static/realtime_ui/js/transcript.js';
import { seededRandom, shuffled } from './seeded_random.js';

const message = (id, role, content, status = 'completed') => ({ id, type: 'message', role, status, content });
const spoken = (transcript = null) => [{ type: 'input_audio', transcript }];
const reply = (transcript) => [{ type: 'output_audio', transcript }];

let eventNumber = 0;
const numbered = (event) => ({ event_id: `event_${(eventNumber += 1)}`, ...event });
const read = (...events) => {
  const transcript = new Transcript(() => 0);
  for (const event of events) transcript.apply(event);
  return transcript;
};
const lines = (transcript) => transcript.turns().map((turn) => `${turn.who}: ${textOf(turn)}`);

/** A conversation of voice turns, as the wire carries it. */
function voiceConversation(rounds) {
  const events = [];
  let previous = null;
  for (let round = 0; round < rounds; round += 1) {
    const [user, assistant, response] = [`u${round}`, `a${round}`, `r${round}`];
    events.push(
      { type: 'input_audio_buffer.committed', item_id: user, previous_item_id: previous },
      { type: 'conversation.item.added', previous_item_id: previous, item: message(user, 'user', spoken()) },
      { type: 'conversation.item.added', previous_item_id: user, item: message(assistant, 'assistant', [], 'in_progress') },
      { type: 'response.output_item.added', response_id: response, item: message(assistant, 'assistant', [], 'in_progress') },
      { type: 'conversation.item.input_audio_transcription.completed', item_id: user, content_index: 0, transcript: `question ${round}` },
      { type: 'response.output_audio_transcript.done', item_id: assistant, response_id: response, content_index: 0, transcript: `answer ${round}` },
      { type: 'conversation.item.done', previous_item_id: user, item: message(assistant, 'assistant', reply(`answer ${round}`)) },
    );
    previous = assistant;
  }
  return events.map(numbered);
}

const EXPECTED = Array.from({ length: 6 }, (_, round) => [`user: question ${round}`, `assistant: answer ${round}`]).flat();

test('turns stand in the order of the conversation however events arrive, over 200 shuffles', () => {
  const events = voiceConversation(6);
  for (let seed = 1; seed <= 200; seed += 1) assert.deepEqual(lines(read(...shuffled(events, seededRandom(seed)))), EXPECTED, `seed ${seed}`);
});

test('events that come twice count once, over 100 shuffles', () => {
  const events = voiceConversation(6);
  for (let seed = 1; seed <= 100; seed += 1) {
    const random = seededRandom(seed);
    const doubled = [...events, ...events.filter(() => random() < 0.5)];
    assert.deepEqual(lines(read(...shuffled(doubled, random))), EXPECTED, `seed ${seed}`);
  }
});

test('a delta that comes twice is not written twice', () => {
  const delta = numbered({ type: 'response.output_audio_transcript.delta', item_id: 'a', response_id: 'r', delta: 'Hello' });
  assert.deepEqual(lines(read(delta, delta)), ['assistant: Hello']);
});

test('words appear as they come and the turn stays partial', () => {
  const delta = (text) => numbered({ type: 'response.output_audio_transcript.delta', item_id: 'a', response_id: 'r', content_index: 0, delta: text });
  const [turn] = read(delta('We open '), delta('at nine.')).turns();
  assert.deepEqual([textOf(turn), turn.status], ['We open at nine.', 'partial']);
});

test('one own turn waits for its words, then has them', () => {
  const transcript = read(numbered({ type: 'input_audio_buffer.committed', item_id: 'u', previous_item_id: null }));
  assert.equal(transcript.turns()[0].status, 'partial');
  transcript.apply({ type: 'conversation.item.input_audio_transcription.completed', item_id: 'u', transcript: 'Hello' });
  assert.deepEqual([textOf(transcript.turns()[0]), transcript.turns()[0].status], ['Hello', 'done']);
});

test('a failed transcription is said', () => {
  const transcript = read({ type: 'input_audio_buffer.committed', item_id: 'u', previous_item_id: null }, { type: 'conversation.item.input_audio_transcription.failed', item_id: 'u' });
  assert.equal(transcript.turns()[0].status, 'failed');
});

test('noise without a word leaves no turn', () => {
  const transcript = read({ type: 'input_audio_buffer.committed', item_id: 'u', previous_item_id: null }, { type: 'conversation.item.input_audio_transcription.completed', item_id: 'u', transcript: '' });
  assert.deepEqual(transcript.turns(), []);
});

test('a typed turn is whole at once', () => {
  const [turn] = read({ type: 'conversation.item.added', previous_item_id: null, item: message('u', 'user', [{ type: 'input_text', text: 'Hi' }]) }).turns();
  assert.deepEqual([textOf(turn), turn.status, turn.spoken], ['Hi', 'done', false]);
});

/** Said so far, then cut by the events given, in any order. */
function cutBy(events, prepare = () => {}) {
  const transcript = read(
    { type: 'response.created', response: { id: 'r' } },
    { type: 'response.output_item.added', response_id: 'r', item: message('a', 'assistant', [], 'in_progress') },
    { type: 'response.output_audio_transcript.delta', item_id: 'a', response_id: 'r', delta: 'Dune is on the' },
  );
  prepare(transcript);
  for (const event of events) transcript.apply(event);
  return transcript.turns()[0];
}

const CUT = [
  { type: 'output_audio_buffer.cleared', response_id: 'r' },
  { type: 'conversation.item.truncated', item_id: 'a', content_index: 0, audio_end_ms: 1450 },
  { type: 'conversation.item.done', previous_item_id: null, item: message('a', 'assistant', reply(null), 'incomplete') },
  { type: 'response.done', response: { id: 'r', status: 'cancelled', status_details: { reason: 'turn_detected' } } },
];

test('an interrupted turn keeps its words and is marked once, in any order of the server\'s reports', () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    const turn = cutBy(shuffled(CUT, seededRandom(seed)));
    assert.deepEqual([textOf(turn), turn.mark, turn.status], ['Dune is on the', 'spoken_over', 'done'], `seed ${seed}`);
  }
});

test('a turn cut by the person\'s Stop says so', () => {
  assert.equal(cutBy(CUT, (transcript) => transcript.noteStop()).mark, 'stopped');
  assert.equal(cutBy([{ type: 'response.done', response: { id: 'r', status: 'cancelled', status_details: { reason: 'client_cancelled' } } }]).mark, 'stopped');
});

test('sound cleared after the reply was made still marks it', () => {
  const done = [{ type: 'response.output_audio_transcript.done', item_id: 'a', response_id: 'r', transcript: 'Dune is on the second floor.' }, { type: 'response.done', response: { id: 'r', status: 'completed' } }];
  const turn = cutBy([...done, CUT[0]]);
  assert.deepEqual([textOf(turn), turn.mark], ['Dune is on the second floor.', 'spoken_over']);
});

test('a reply that breaks off by itself is marked', () => {
  assert.equal(cutBy([{ type: 'response.done', response: { id: 'r', status: 'incomplete', status_details: { reason: 'max_output_tokens' } } }]).mark, 'incomplete');
});

test('a tool call is a mark of its own and its result is not shown', () => {
  const transcript = read(
    { type: 'conversation.item.added', previous_item_id: null, item: { id: 'f', type: 'function_call', status: 'in_progress', name: 'opening_hours' } },
    { type: 'conversation.item.added', previous_item_id: 'f', item: { id: 'o', type: 'function_call_output', status: 'completed' } },
  );
  assert.deepEqual(lines(transcript), ['tool: opening hours']);
});

test('a deleted item goes', () => {
  const added = { type: 'conversation.item.added', previous_item_id: null, item: message('u', 'user', [{ type: 'input_text', text: 'Hi' }]) };
  assert.deepEqual(lines(read(added, { type: 'conversation.item.deleted', item_id: 'u' })), []);
});

test('instructions of the system are not shown', () => {
  assert.deepEqual(lines(read({ type: 'conversation.item.added', previous_item_id: null, item: message('s', 'system', [{ type: 'input_text', text: 'secret' }]) })), []);
});

test('when the call is over nothing waits any more', () => {
  const transcript = read({ type: 'input_audio_buffer.committed', item_id: 'u', previous_item_id: null }, { type: 'response.output_text.delta', item_id: 'a', delta: 'Half' });
  transcript.close();
  assert.deepEqual(transcript.turns().map((turn) => turn.status), ['failed', 'done']);
});

const asked = (id, previous, text) => ({ type: 'conversation.item.added', previous_item_id: previous, item: message(id, 'user', [{ type: 'input_text', text }]) });
const called = (id, previous, name, status = 'completed') => ({ type: 'conversation.item.done', previous_item_id: previous, item: { id, type: 'function_call', status, name, call_id: `of_${id}` } });

test('item 34: a transcription that comes after the reply stands before it', () => {
  const transcript = read(
    { type: 'input_audio_buffer.committed', item_id: 'u', previous_item_id: null },
    { type: 'conversation.item.added', previous_item_id: 'u', item: message('a', 'assistant', reply('At nine.')) },
    { type: 'conversation.item.input_audio_transcription.completed', item_id: 'u', transcript: 'When do you open?' },
  );
  assert.deepEqual(lines(transcript), ['user: When do you open?', 'assistant: At nine.']);
});

test('item 35: a spoken turn waits for its words, grows by parts, and is done', () => {
  const transcript = read({ type: 'input_audio_buffer.committed', item_id: 'u', previous_item_id: null });
  const now = () => transcript.turns().map((turn) => [turn.status, textOf(turn)])[0];
  assert.deepEqual(now(), ['partial', '']);
  transcript.apply({ type: 'conversation.item.input_audio_transcription.delta', item_id: 'u', delta: 'When do' });
  assert.deepEqual(now(), ['partial', 'When do']);
  transcript.apply({ type: 'conversation.item.input_audio_transcription.completed', item_id: 'u', transcript: 'When do you open?' });
  assert.deepEqual(now(), ['done', 'When do you open?']);
});

test('item 37: what happened stands between the turns, wherever later ones arrive', () => {
  const transcript = read(asked('u', null, 'Hello'));
  transcript.note('muted_by_administrator');
  transcript.apply(asked('v', 'u', 'Are you there?'));
  assert.deepEqual(transcript.turns().map((turn) => turn.kind || textOf(turn)), ['Hello', 'muted_by_administrator', 'Are you there?']);
});

test('item 37: a tool tells how much it answered and nothing of it', () => {
  const transcript = read(called('f', null, 'opening_hours'), {
    type: 'conversation.item.added', previous_item_id: 'f', item: { id: 'o', type: 'function_call_output', call_id: 'of_f', output: '{"opens":"nine"}' },
  });
  const [turn] = transcript.turns();
  assert.deepEqual([textOf(turn), transcript.resultChars(turn), transcript.turns().length], ['opening hours', 16, 1]);
});

const answered = (id, output) => ({ type: 'conversation.item.added', previous_item_id: id, item: { id: `out_${id}`, type: 'function_call_output', call_id: `of_${id}`, output } });

test('item 37: a handoff that the server refuses changes nobody', () => {
  const transcript = new Transcript(() => 0, { agent: 'desk', agents: { desk: 'Front desk', bookings: 'Booking desk' } });
  transcript.apply(called('f', null, 'transfer_to_bookings'));
  transcript.apply(answered('f', '{"error": true, "message": "No.", "status": 404}'));
  assert.deepEqual([transcript.turns().length, transcript.agent], [0, 'Front desk']);
});

test('item 37: a handoff says once who talks now, and later replies bear that name', () => {
  const transcript = new Transcript(() => 0, { agent: 'desk', agents: { desk: 'Front desk', bookings: 'Booking desk' } });
  const handoff = called('f', 'u', 'transfer_to_bookings');
  for (const event of [asked('u', null, 'A table, please'), handoff, { ...handoff, type: 'response.output_item.done' }, answered('f', '{"assistant": "Booking desk"}')]) transcript.apply(event);
  transcript.apply({ type: 'conversation.item.added', previous_item_id: 'out_f', item: message('a', 'assistant', reply('For when?')) });
  assert.deepEqual(transcript.turns().map((turn) => [turn.kind, textOf(turn), turn.agent]), [
    ['', 'A table, please', 'Front desk'],
    ['agent_changed', 'Booking desk', 'Booking desk'],
    ['', 'For when?', 'Booking desk'],
  ]);
});

test('item 37: an agent that nobody named is called by its slug', () => {
  const transcript = new Transcript(() => 0, { agent: 'desk', agents: { desk: 'Front desk' } });
  transcript.changeAgent('night_desk');
  transcript.changeAgent('night_desk');
  assert.deepEqual(transcript.turns().map(textOf), ['night desk']);
});

test('item 37: a conversation that was lost goes on below the old one, with a note between', () => {
  const transcript = read(asked('u', null, 'Hello'));
  transcript.note('reconnected');
  transcript.reconnect();
  transcript.apply(asked('v', null, 'Again'));
  assert.deepEqual(transcript.turns().map((turn) => turn.kind || textOf(turn)), ['Hello', 'reconnected', 'Again']);
});

test('a note stays when the item that it follows is deleted', () => {
  const transcript = read(asked('u', null, 'Hello'));
  transcript.note('reconnected');
  transcript.apply({ type: 'conversation.item.deleted', item_id: 'u' });
  assert.deepEqual(transcript.turns().map((turn) => turn.kind), ['reconnected']);
});

test('a problem that changes nothing is a note, and a race is not', () => {
  const transcript = read({ type: 'error', error: { code: 'invalid_value', message: 'Too long.' } }, { type: 'error', error: { code: 'response_cancel_not_active', message: 'None.' } });
  assert.deepEqual(transcript.turns().map((turn) => [turn.kind, textOf(turn)]), [['error', 'Too long.']]);
});

/** A reply whose words came before its sound was heard. */
function readAhead(share) {
  const transcript = new Transcript();
  const ids = { response_id: 'resp_1', item_id: 'item_1', content_index: 0 };
  transcript.apply({ type: 'response.output_audio_transcript.delta', ...ids, delta: 'One, two, three, four.' });
  transcript.apply({ type: 'local.heard', item_id: 'item_1', content_index: 0, share });
  transcript.apply({ type: 'output_audio_buffer.cleared', response_id: 'resp_1' });
  transcript.apply({ type: 'response.output_audio_transcript.delta', ...ids, delta: ' Five.' });
  transcript.apply({ type: 'response.output_audio_transcript.done', ...ids, transcript: 'One, two, three, four. Five.' });
  const content = [{ type: 'output_audio', transcript: 'One, two, three, four. Five.' }];
  transcript.apply({ type: 'conversation.item.done', item: { id: 'item_1', type: 'message', role: 'assistant', status: 'completed', content } });
  return transcript.turns().map((turn) => [textOf(turn), turn.mark]);
}

test('of a reply that is cut, the words stay that were heard, whatever comes later', () => {
  assert.deepEqual(readAhead(0.5), [['One, two, three,', 'spoken_over']]);
  assert.deepEqual(readAhead(0.01), [['One,', 'spoken_over']]);
  assert.deepEqual(readAhead(1), [['One, two, three, four.', 'spoken_over']]);
});

test('of a reply that nobody heard there is nothing to show', () => assert.deepEqual(readAhead(0), []));

test('item 55: a reply that a guardrail stopped, and words that it took out, are told once', () => {
  const told = (id) => ({ type: 'conversation.item.added', item: message(id, 'system', [{ type: 'input_text', text: 'For the model.' }]) });
  const transcript = read(asked('u', null, 'Hello'), told('guardrail_out_1'), told('guardrail_out_1'), told('guardrail_in_2'));
  assert.deepEqual(transcript.turns().map((turn) => turn.kind || textOf(turn)), ['Hello', 'reply_stopped', 'words_refused']);
});
