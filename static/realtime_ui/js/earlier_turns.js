// @ts-check
// What was said before a connection was lost, as items for the new one: in writing, since a reply's sound cannot be
// given back. Marked by their ids, so that the page does not show them twice.

/** @typedef {import('./events.js').ClientEvent} ClientEvent */

const ID_PREFIX = 'earlier_';
const MAX_TURNS = 40;
const MAX_CHARS = 8_000;

/**
 * Return the events that repeat the newest turns, in order, as far back as there is room.
 * @param {readonly {who: string, text: string}[]} turns
 * @returns {ClientEvent[]}
 */
export function repeatTurns(turns) {
  /** @type {ClientEvent[]} */
  const events = [];
  let room = MAX_CHARS;
  for (const { who, text } of [...turns].reverse()) {
    if ((who !== 'user' && who !== 'assistant') || !text) continue;
    room -= text.length;
    if (room < 0 || events.length === MAX_TURNS) break;
    const content = [{ type: who === 'user' ? 'input_text' : 'output_text', text }];
    const id = `${ID_PREFIX}${crypto.randomUUID().slice(0, 8)}`;
    events.unshift({ type: 'conversation.item.create', item: { id, type: 'message', role: who, content } });
  }
  return events;
}

/** @param {string} itemId */
export function isRepeated(itemId) {
  return itemId.startsWith(ID_PREFIX);
}
