// @ts-check
// The conversation as a list of turns, built from server events in any order. Knows no document.
// Turns stand in the order of the conversation (previous-item links), not of arrival; words that were
// spoken before an interruption are kept although the server forgets them. Notes tell what happened between the turns.

import { isRepeated } from './earlier_turns.js';
import { toolName } from './live_part.js';
import { orderByLinks } from './item_order.js';

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {import('./events.js').Item} Item */
/** @typedef {'partial'|'done'|'failed'} TurnStatus */
/** @typedef {'agent_changed'|'reply_stopped'|'words_refused'|'reconnected'|'reconnected_anew'|'muted_by_administrator'|'unmuted_by_administrator'|'ended_by_administrator'|'error'} NoteKind */
/**
 * @typedef {object} Turn
 * @property {string} id
 * @property {string|null|undefined} previousId null: first of the conversation; undefined: not known yet
 * @property {'user'|'assistant'|'tool'|'note'|'hidden'} who
 * @property {TurnStatus} status
 * @property {number} connection a conversation that was lost goes on in another one
 * @property {string} agent name of the agent that was talked to
 * @property {NoteKind|''} kind of a note
 * @property {string[]} parts text by content index
 * @property {''|'spoken_over'|'stopped'|'incomplete'} mark how the turn was cut, if it was
 * @property {string} responseId
 * @property {string} toolCallId of a tool's turn
 * @property {boolean} spoken the words came, or will come, from sound
 * @property {boolean} isCut to what was heard: words that come later were not
 * @property {number} atMs time of arrival, by the clock passed in
 */

/** An item whose id begins like this says that the server stopped a reply, or took words out. */
const GUARDRAIL = 'guardrail_';
/** A function whose name begins like this hands the person over to the agent that the rest names. */
const HANDOFF = 'transfer_to_';

export class Transcript {
  /**
   * @param {() => number} now clock in milliseconds
   * @param {{agent?: string, agents?: Readonly<Record<string, string>>}} [about] agent: slug of who is talked to; agents: names by slug
   */
  constructor(now = Date.now, { agent = '', agents = {} } = {}) {
    this.now = now;
    this.slug = agent;
    this.agents = agents;
    this.connection = 0;
    /** @type {Map<string, Turn>} in order of arrival */
    this.items = new Map();
    /** @type {Map<string, Turn[]>} notes by the item they follow; '' before all */
    this.notes = new Map();
    /** @type {Map<string, number>} length of what a tool answered, by the id of its call */
    this.results = new Map();
    /** @type {Map<string, string>} slugs of the agents that were asked for, by the tool call */
    this.handoffs = new Map();
    /** @type {Set<string>} ids of items that stand as notes already */
    this.noted = new Set();
    /** @type {Set<string>} ids of events taken in, so that none counts twice */
    this.taken = new Set();
    this.stopRequested = false;
  }

  /** Name of who is talked to now. */
  get agent() {
    return this.agents[this.slug] ?? toolName(this.slug);
  }

  /** Turns to show, in order; what turned out to be noise (finished without a word) is left out. @returns {Turn[]} */
  turns() {
    const withNotes = this.#ordered().flatMap((turn) => [turn, ...(this.notes.get(turn.id) ?? [])]);
    const shown = withNotes.filter((turn) => turn.who !== 'hidden' && (turn.status !== 'done' || textOf(turn) !== ''));
    return [...(this.notes.get('') ?? []), ...shown];
  }

  /** @returns {Turn[]} */
  #ordered() {
    const items = [...this.items.values()];
    const connections = [...new Set(items.map((item) => item.connection))];
    return connections.flatMap((connection) => orderByLinks(items.filter((item) => item.connection === connection)));
  }

  /** What comes from now on belongs to a new connection, whose items know nothing of the old ones. */
  reconnect() {
    this.connection += 1;
  }

  /** Write down, where the conversation stands now, what happened to it. @param {NoteKind} kind @param {string} [text] */
  note(kind, text = kind) {
    const after = this.#ordered().at(-1)?.id ?? '';
    const notes = this.notes.get(after) ?? [];
    const note = { ...this.blank(`note:${after}:${notes.length}`, 'note'), status: /** @type {TurnStatus} */ ('done'), kind, parts: [text] };
    this.notes.set(after, [...notes, note]);
  }

  /** Tell by a note what an item stands for. @param {string} id @param {NoteKind} kind */
  noteOnce(id, kind) {
    if (this.noted.has(id)) return;
    this.noted.add(id);
    this.note(kind);
  }

  /** Somebody else talks from now on. @param {string} slug */
  changeAgent(slug) {
    if (slug === this.slug) return;
    this.slug = slug;
    this.note('agent_changed', this.agent);
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
    const turn = this.blank(id, who);
    this.items.set(id, turn);
    return turn;
  }

  /** @param {string} id @param {Turn['who']} who @returns {Turn} */
  blank(id, who) {
    const { agent, connection } = this;
    return { id, previousId: undefined, who, status: 'partial', connection, agent, kind: '', parts: [], mark: '', responseId: '', toolCallId: '', spoken: true, isCut: false, atMs: this.now() };
  }

  /** Length of what a tool answered; null while it is not known. @param {Turn} turn */
  resultChars(turn) {
    return this.results.get(turn.toolCallId) ?? null;
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

/** Errors that say only that two things crossed on the way, or that are told as the call's end. */
const UNTOLD_ERRORS = new Set(['response_cancel_not_active', 'conversation_already_has_active_response', 'input_audio_buffer_commit_empty', 'session_expired']);

/** @type {Readonly<Record<string, (transcript: Transcript, event: ServerEvent) => void>>} */
const HANDLERS = {
  error: (transcript, event) => {
    if (!UNTOLD_ERRORS.has(event.error?.code ?? '')) transcript.note('error', event.error?.message || '…');
  },
  'input_audio_buffer.committed': (transcript, event) => link(transcript.turn(event.item_id ?? '', 'user'), event),
  'conversation.item.added': takeItem,
  'conversation.item.created': takeItem,
  'conversation.item.done': takeItem,
  'conversation.item.deleted': (transcript, event) => {
    const turn = transcript.items.get(event.item_id ?? '');
    if (turn) turn.who = 'hidden'; // its place stays, for the notes that stand there
  },
  'conversation.item.input_audio_transcription.delta': (transcript, event) => addDelta(transcript, event, 'user'),
  'conversation.item.input_audio_transcription.completed': (transcript, event) => finish(transcript, event, 'user'),
  'conversation.item.input_audio_transcription.failed': (transcript, event) => {
    transcript.turn(event.item_id ?? '', 'user').status = 'failed';
  },
  'conversation.item.truncated': (transcript, event) => {
    const turn = transcript.items.get(event.item_id ?? '');
    if (turn) markCut(turn, cutMark(transcript));
  },
  'local.heard': (transcript, event) => {
    const turn = transcript.items.get(event.item_id ?? '');
    if (turn) cutToHeard(turn, event.content_index ?? 0, event.share ?? 0);
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

/** The words of a reply come before its sound is heard; keep those that were, with the one it was cut in. @param {Turn} turn @param {number} index @param {number} share */
function cutToHeard(turn, index, share) {
  const text = turn.parts[index] ?? '';
  const end = Math.ceil(text.length * share);
  turn.parts[index] = end ? text.slice(0, end) + (/^\S*/.exec(text.slice(end))?.[0] ?? '') : '';
  turn.isCut = true;
}

/** @param {Turn} turn @param {ServerEvent} event */
function link(turn, event) {
  if (event.previous_item_id !== undefined) turn.previousId = event.previous_item_id;
}

/** @param {Transcript} transcript @param {ServerEvent} event */
function takeItem(transcript, event) {
  const item = event.item;
  if (!item?.id) return;
  if (item.id.startsWith(GUARDRAIL)) return transcript.noteOnce(item.id, item.id.startsWith(`${GUARDRAIL}out_`) ? 'reply_stopped' : 'words_refused');
  const turn = transcript.turn(item.id, whoIs(item));
  turn.who = whoIs(item);
  link(turn, event);
  if (event.response_id) turn.responseId = event.response_id;
  if (turn.who === 'tool') takeTool(transcript, turn, item);
  if (item.type === 'function_call_output') takeResult(transcript, item);
  if (turn.who === 'user' || turn.who === 'assistant') takeContent(turn, item);
  if (item.status === 'incomplete' && turn.who === 'assistant') markCut(turn, cutMark(transcript));
}

/** @param {Item} item @returns {Turn['who']} */
function whoIs(item) {
  if (item.type === 'function_call' || item.type === 'mcp_call') return 'tool';
  if (item.type !== 'message' || isRepeated(item.id)) return 'hidden';
  return item.role === 'user' || item.role === 'assistant' ? item.role : 'hidden';
}

/** Who talks now is told once the server has agreed. @param {Transcript} transcript @param {Item} item */
function takeResult(transcript, item) {
  const output = item.output ?? '';
  transcript.results.set(item.call_id ?? '', output.length);
  const slug = transcript.handoffs.get(item.call_id ?? '');
  if (slug && !output.includes('"error": true')) transcript.changeAgent(slug);
}

/** A handoff is told by the note about who talks now. @param {Transcript} transcript @param {Turn} turn @param {Item} item */
function takeTool(transcript, turn, item) {
  const name = item.name ?? '';
  turn.parts = [toolName(name)];
  turn.toolCallId = item.call_id ?? '';
  if (item.status === 'completed') turn.status = 'done';
  if (!name.startsWith(HANDOFF)) return;
  turn.who = 'hidden';
  transcript.handoffs.set(turn.toolCallId, name.slice(HANDOFF.length));
}

/** Words in an item are whole, so they replace; an item without words says nothing about them. @param {Turn} turn @param {Item} item */
function takeContent(turn, item) {
  if (turn.isCut) return;
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
  if (turn.isCut) return;
  const words = event.transcript ?? event.text ?? '';
  if (words) turn.parts[event.content_index ?? 0] = words;
  turn.status = 'done';
}
