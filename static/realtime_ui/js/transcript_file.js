// @ts-check
// The transcript as plain text to keep.

import { textOf } from './transcript.js';

/**
 * @param {readonly import('./transcript.js').Turn[]} turns
 * @param {import('./words.js').Words} words
 * @param {{agent: string, callId: string}} about
 */
export function transcriptText(turns, words, { agent, callId }) {
  const lines = turns.map((turn) => `[${new Date(turn.atMs).toISOString()}] ${speaker(turn, words, agent)}: ${lineOf(turn, words)}`);
  return [words('file_title', { agent, id: callId }), '', ...lines, ''].join('\n');
}

/** Who speaks, in words. @param {import('./transcript.js').Turn} turn @param {import('./words.js').Words} words @param {string} agent */
export function speaker(turn, words, agent) {
  return turn.who === 'user' ? words('you') : agent;
}

/** @param {import('./transcript.js').Turn} turn @param {import('./words.js').Words} words */
function lineOf(turn, words) {
  const text = turn.who === 'tool' ? words('looked_up', { tool: textOf(turn) }) : textOf(turn);
  const mark = turn.mark ? ` (${words(`mark_${turn.mark}`)})` : '';
  return (turn.status === 'failed' && !text ? words('not_transcribed') : text) + mark;
}
