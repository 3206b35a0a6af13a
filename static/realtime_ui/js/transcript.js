// @ts-check
// The conversation as a list of turns, built from server events in any order. Knows no document.
// Turns stand in the order of the conversation (previous-item links), not of arrival; words that were
// spoken before an interruption are kept although the server forgets them.

import { toolName } from './live_part.js';
import { orderByLinks } from './item_order.js';

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {import('./events.js').Item} Item */
/** @typedef {'partial'|'done'|'failed'} TurnStatus */
/**
 * @typedef {object} Turn
 * @property {string} id
 * @property {string|null|undefined} previousId null: first of the conversation; undefined: not known yet
 * @property {'user'|'assistant'|'tool'|'hidden'} who
 * @property {TurnStatus} status
 * @property {string[]} parts text by content index
 * @property {''|'spoken_over'|'stopped'|'incomplete'} mark how the turn was cut, if it was
 * @property {string} responseId
 * @property {boolean} spoken the words came, or will come, from sound
 * @property {number} atMs time of arrival, by the clock passed in
 */

export class Transcript {
  /** @param {() => number} now clock in milliseconds */
  constructor(now = Date.now) {
    this.now = now;
    /** @type {Map<string, Turn>} in order of arrival */
    this.items = new Map();
    /** @type {Set<string>} ids of events taken in, so that none counts twice */
    this.taken = new Set();
    this.stopRequested = false;
  }

  /** Turns to show, in order; what turned out to be noise (finished without a word) is left out. @returns {Turn[]} */
  turns() {
    const ordered = orderByLinks([...this.items.values()]);
    return ordered.filter((turn) => turn.who !== 'hidden' && (turn.status !== 'done' || textOf(turn) !== ''));
  }

  /** Say that the person pressed Stop, so that the cut which follows is named rightly. */
  noteStop() {
    this.stopRequested = true;
  }

  /** The call is over: nothing that is missing will come any more. */
  close() {
    for (const turn of this.items.values()) {
      if (turn.status === 'partial') turn.status = turn.who === 'user' && !textOf(turn) ? 'failed' : 'done';
    }
  }

  /**
   * Take one server event in. Returns whether anything changed.
   * @param {ServerEvent} event
   */
  apply(event) {
    const handler = Object.hasOwn(HANDLERS, event.type) ? HANDLERS[event.type] : null;
    if (!handler || this.taken.has(event.event_id ?? '')) return false;
    if (event.event_id) this.taken.add(event.event_id);
    handler(this, event);
    return true;
  }

  /**
   * Return the turn of an id, made on first mention: a delta may come before its item.
   * @param {string} id
   * @param {Turn['who']} who
   */
  turn(id, who) {
    const known = this.items.get(id);
    if (known) return known;
    /** @type {Turn} */
    const turn = { id, previousId: undefined, who, status: 'partial', parts: [], mark: '', responseId: '', spoken: true, atMs: this.now() };
    this.items.set(id, turn);
    return turn;
  }

  /** Mark what was being said in a response. @param {string} responseId @param {Turn['mark']} mark */
  cut(responseId, mark) {
    const said = [...this.items.values()].filter((turn) => turn.responseId === responseId && turn.who === 'assistant');
    const last = said.at(-1);
    if (last) markCut(last, mark);
  }
}

/** Text of a turn. @param {Turn} turn */
export function textOf(turn) {
  return turn.parts.filter(Boolean).join(' ').trim();
}

/** @type {Readonly<Record<string, (transcript: Transcript, event: ServerEvent) => void>>} */
const HANDLERS = {
  'input_audio_buffer.committed': (transcript, event) => link(transcript.turn(event.item_id ?? '', 'user'), event),
  'conversation.item.added': takeItem,
  'conversation.item.created': takeItem,
  'conversation.item.done': takeItem,
  'conversation.item.deleted': (transcript, event) => transcript.items.delete(event.item_id ?? ''),
  'conversation.item.input_audio_transcription.delta': (transcript, event) => addDelta(transcript, event, 'user'),
  'conversation.item.input_audio_transcription.completed': (transcript, event) => finish(transcript, event, 'user'),
  'conversation.item.input_audio_transcription.failed': (transcript, event) => {
    transcript.turn(event.item_id ?? '', 'user').status = 'failed';
  },
  'conversation.item.truncated': (transcript, event) => {
    const turn = transcript.items.get(event.item_id ?? '');
    if (turn) markCut(turn, cutMark(transcript));
  },
  'response.created': (transcript) => {
    transcript.stopRequested = false;
  },
  'response.output_item.added': takeItem,
  'response.output_item.done': takeItem,
  'response.output_audio_transcript.delta': (transcript, event) => addDelta(transcript, event, 'assistant'),
  'response.output_audio_transcript.done': (transcript, event) => finish(transcript, event, 'assistant'),
  'response.output_text.delta': (transcript, event) => addDelta(transcript, event, 'assistant'),
  'response.output_text.done': (transcript, event) => finish(transcript, event, 'assistant'),
  'output_audio_buffer.cleared': (transcript, event) => transcript.cut(event.response_id ?? '', cutMark(transcript)),
  'response.done': (transcript, event) => {
    const { id = '', status = '', status_details: details } = event.response ?? {};
    if (status === 'cancelled') transcript.cut(id, details?.reason === 'client_cancelled' ? 'stopped' : cutMark(transcript));
    if (status === 'incomplete' || status === 'failed') transcript.cut(id, 'incomplete');
  },
};

/** @param {Transcript} transcript @returns {Turn['mark']} */
function cutMark(transcript) {
  return transcript.stopRequested ? 'stopped' : 'spoken_over';
}

/** The first reason named stays: the server reports one cut in three ways. @param {Turn} turn @param {Turn['mark']} mark */
function markCut(turn, mark) {
  turn.mark ||= mark;
  if (turn.status === 'partial') turn.status = 'done';
}

/** @param {Turn} turn @param {ServerEvent} event */
function link(turn, event) {
  if (event.previous_item_id !== undefined) turn.previousId = event.previous_item_id;
}

/** @param {Transcript} transcript @param {ServerEvent} event */
function takeItem(transcript, event) {
  const item = event.item;
  if (!item?.id) return;
  const turn = transcript.turn(item.id, whoIs(item));
  turn.who = whoIs(item);
  link(turn, event);
  if (event.response_id) turn.responseId = event.response_id;
  if (turn.who === 'tool') takeTool(turn, item);
  if (turn.who === 'user' || turn.who === 'assistant') takeContent(turn, item);
  if (item.status === 'incomplete' && turn.who === 'assistant') markCut(turn, cutMark(transcript));
}

/** @param {Item} item @returns {Turn['who']} */
function whoIs(item) {
  if (item.type === 'function_call' || item.type === 'mcp_call') return 'tool';
  if (item.type !== 'message') return 'hidden';
  return item.role === 'user' || item.role === 'assistant' ? item.role : 'hidden';
}

/** @param {Turn} turn @param {Item} item */
function takeTool(turn, item) {
  turn.parts = [toolName(item.name ?? '')];
  if (item.status === 'completed') turn.status = 'done';
}

/** Words in an item are whole, so they replace; an item without words says nothing about them. @param {Turn} turn @param {Item} item */
function takeContent(turn, item) {
  const parts = item.content ?? [];
  if (turn.who === 'user' && parts.length) turn.spoken = parts.some((part) => part.type === 'input_audio');
  parts.forEach((part, index) => {
    const words = part.text ?? part.transcript;
    if (words) turn.parts[index] = words;
  });
  const isFinished = turn.who === 'user' ? !turn.spoken || textOf(turn) !== '' : item.status === 'completed';
  if (isFinished && turn.status === 'partial' && textOf(turn)) turn.status = 'done';
}

/** @param {Transcript} transcript @param {ServerEvent} event @param {Turn['who']} who */
function addDelta(transcript, event, who) {
  const turn = transcript.turn(event.item_id ?? '', who);
  if (event.response_id) turn.responseId = event.response_id;
  if (turn.status !== 'partial') return;
  const index = event.content_index ?? 0;
  turn.parts[index] = (turn.parts[index] ?? '') + (event.delta ?? '');
}

/** @param {Transcript} transcript @param {ServerEvent} event @param {Turn['who']} who */
function finish(transcript, event, who) {
  const turn = transcript.turn(event.item_id ?? '', who);
  if (event.response_id) turn.responseId = event.response_id;
  const words = event.transcript ?? event.text ?? '';
  if (words) turn.parts[event.content_index ?? 0] = words;
  turn.status = 'done';
}
