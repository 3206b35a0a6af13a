import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ReplyReader } from '../../static/realtime_ui/js/reply_reader.js';
import { Transcript } from '../../static/realtime_ui/js/transcript.js';
import { transcriptJson, transcriptText } from '../../static/realtime_ui/js/transcript_file.js';
import { createWords } from '../../static/realtime_ui/js/words.js';

const SOURCE = readFileSync(new URL('../../realtime_ui/words.py', import.meta.url), 'utf8');
const words = createWords(Object.fromEntries([...SOURCE.matchAll(/"(\w+)": _\(\s*"([^"]*)"/g)].map((found) => [found[1], found[2]])));
const ABOUT = { agent: 'Front desk', callId: 'rtc_1' };

function conversation() {
  const transcript = new Transcript(() => Date.UTC(2026, 0, 2, 3, 4, 5), { agent: 'desk', agents: { desk: 'Front desk' } });
  const events = [
    { type: 'conversation.item.added', previous_item_id: null, item: { id: 'u', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Open?' }] } },
    { type: 'conversation.item.done', previous_item_id: 'u', item: { id: 'f', type: 'function_call', status: 'completed', name: 'opening_hours', call_id: 'c' } },
    { type: 'conversation.item.done', previous_item_id: 'f', item: { id: 'o', type: 'function_call_output', call_id: 'c', output: 'ek_secret' } },
    { type: 'response.output_item.added', response_id: 'r', item: { id: 'a', type: 'message', role: 'assistant', status: 'in_progress', content: [] } },
    { type: 'conversation.item.added', previous_item_id: 'o', item: { id: 'a', type: 'message', role: 'assistant', status: 'in_progress', content: [] } },
    { type: 'response.output_text.delta', response_id: 'r', item_id: 'a', delta: 'From nine' },
    { type: 'output_audio_buffer.cleared', response_id: 'r' },
  ];
  for (const event of events) transcript.apply(event);
  transcript.note('reconnected');
  return transcript;
}

test('item 39: the text has times, who and what, and how a reply was cut', () => {
  const at = '[2026-01-02T03:04:05.000Z]';
  assert.equal(transcriptText(conversation(), words, ABOUT), [
    'Conversation with Front desk, call rtc_1',
    '',
    `${at} You: Open?`,
    `${at} Looked up: opening hours (an answer of 9 characters)`,
    `${at} Front desk: From nine (You interrupted here)`,
    `${at} Connected again. The assistant knows what was said before.`,
    '',
  ].join('\n'));
});

test('item 39: the JSON holds the same, and no secret', () => {
  const kept = transcriptJson(conversation(), words, ABOUT);
  const { callId, agent, turns } = JSON.parse(kept);
  assert.deepEqual([callId, agent, turns.map((turn) => turn.role)], ['rtc_1', 'Front desk', ['user', 'tool', 'assistant', 'note']]);
  assert.deepEqual(turns[2], { at: '2026-01-02T03:04:05.000Z', role: 'assistant', who: 'Front desk', text: 'From nine', mark: 'spoken_over' });
  assert.doesNotMatch(kept, /ek_/);
});

test('item 64: a reply that comes in forty parts is read once, when it is finished', () => {
  const transcript = new Transcript(() => 0);
  const reader = new ReplyReader();
  const read = [];
  for (let index = 0; index < 40; index += 1) {
    transcript.apply({ type: 'response.output_text.delta', item_id: 'a', delta: `${index} ` });
    read.push(...reader.fresh(transcript.turns()));
  }
  assert.deepEqual(read, []);
  transcript.apply({ type: 'response.output_text.done', item_id: 'a', text: 'All of it.' });
  assert.deepEqual([...reader.fresh(transcript.turns()), ...reader.fresh(transcript.turns())], ['All of it.']);
});
