// @ts-check
// The transcript as a text or JSON to keep, and the words of a turn wherever they are shown.

import { textOf } from './transcript.js';

/** @typedef {import('./transcript.js').Turn} Turn */
/** @typedef {import('./transcript.js').Transcript} Transcript */
/** @typedef {import('./words.js').Words} Words */
/** @typedef {{agent: string, callId: string}} About */

/**
 * @param {Transcript} transcript
 * @param {Words} words
 * @param {About} about
 */
export function transcriptText(transcript, words, { agent, callId }) {
  const lines = transcript.turns().map((turn) => `[${moment(turn)}] ${[speaker(turn, words), lineOf(turn, transcript, words)].filter(Boolean).join(': ')}`);
  return [words('file_title', { agent, id: callId }), '', ...lines, ''].join('\n');
}

/**
 * @param {Transcript} transcript
 * @param {Words} words
 * @param {About} about
 */
export function transcriptJson(transcript, words, { agent, callId }) {
  const turns = transcript.turns().map((turn) => ({
    at: moment(turn),
    role: turn.who,
    who: speaker(turn, words),
    text: wordsOf(turn, transcript, words),
    ...(turn.mark && { mark: turn.mark }),
  }));
  return JSON.stringify({ callId, agent, turns }, null, 2);
}

/** Who speaks, in words; nobody does in a note. @param {Turn} turn @param {Words} words */
export function speaker(turn, words) {
  if (turn.who === 'note' || turn.who === 'tool') return '';
  return turn.who === 'user' ? words('you') : turn.agent;
}

/** What a turn says, in words. @param {Turn} turn @param {Transcript} transcript @param {Words} words */
export function wordsOf(turn, transcript, words) {
  const text = textOf(turn);
  if (turn.who === 'note') return words(`note_${turn.kind}`, { text });
  if (turn.who === 'tool') return toolLine(text, transcript.resultChars(turn), words);
  return turn.status === 'failed' && !text ? words('not_transcribed') : text;
}

/** @param {string} tool @param {number|null} resultChars @param {Words} words */
function toolLine(tool, resultChars, words) {
  return resultChars === null ? words('looked_up', { tool }) : words('looked_up_size', { tool, n: resultChars });
}

/** @param {Turn} turn @param {Transcript} transcript @param {Words} words */
function lineOf(turn, transcript, words) {
  const mark = turn.mark ? ` (${words(`mark_${turn.mark}`)})` : '';
  return wordsOf(turn, transcript, words) + mark;
}

/** @param {Turn} turn */
function moment(turn) {
  return new Date(turn.atMs).toISOString();
}
