// @ts-check
// The tools that the model of a live call has called. The server runs them; this watches those that are not answered
// yet, finds out whether one waits for the person's word, and runs one itself where the server cannot see the call.
// Emits `change`: `waiting` is the tool's call that somebody has to decide, or null. Knows no document.

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {import('./events.js').Item} Item */
/** @typedef {{id: number, toolCallId: string, publicName: string, arguments: string, state: string, approval: string, approved: boolean|null}} ToolCall */
/**
 * @typedef {object} Parts
 * @property {() => Promise<ToolCall[]|null>} list null when the server did not answer
 * @property {(id: number, approve: boolean) => unknown} decide
 * @property {(item: Item) => Promise<string>} run returns the output; empty when the server runs it itself
 * @property {(toolCallId: string, output: string) => unknown} answer tell the model
 */

export const ASK_EVERY_MS = 700;
/** By then the server has the tool's call on record, if it can see the call at all. */
export const RUN_AFTER_MS = 5_000;

export class CallTools extends EventTarget {
  /** @type {Map<string, {item: Item, sinceMs: number}>} */
  #open = new Map();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  /** Raised when a call begins or ends, so that an answer that comes later is nobody's. */
  #call = 0;

  /** @param {Parts} parts @param {() => number} [now] */
  constructor(parts, now = Date.now) {
    super();
    this.parts = parts;
    this.now = now;
    /** @type {ToolCall|null} */
    this.waiting = null;
  }

  /** No call goes on, or another. */
  stop() {
    this.#call += 1;
    this.#open.clear();
    clearTimeout(this.#timer);
    this.#show(null);
  }

  /** @param {ServerEvent} event */
  note({ type, item }) {
    if (!item?.call_id) return;
    if (type === 'response.output_item.done' && item.type === 'function_call' && item.status === 'completed') this.#begin(item);
    if (type === 'conversation.item.added' && item.type === 'function_call_output') this.#end(item.call_id);
  }

  /** Say whether the tool that waits may run. @param {boolean} approve */
  async decide(approve) {
    const decided = this.waiting;
    this.#show(null);
    if (decided) await this.parts.decide(decided.id, approve);
  }

  /** @param {Item} item */
  #begin(item) {
    this.#open.set(item.call_id ?? '', { item, sinceMs: this.now() });
    this.#askLater();
  }

  /** @param {string} toolCallId */
  #end(toolCallId) {
    this.#open.delete(toolCallId);
    if (this.waiting?.toolCallId === toolCallId) this.#show(null);
    if (!this.#open.size) clearTimeout(this.#timer);
  }

  #askLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), ASK_EVERY_MS);
  }

  async #ask() {
    const call = this.#call;
    const known = await this.parts.list();
    if (call !== this.#call || !this.#open.size) return;
    this.#show(known?.find((row) => this.#open.has(row.toolCallId) && isForPerson(row)) ?? null);
    for (const { item, sinceMs } of known ? [...this.#open.values()] : []) {
      const isKnown = known?.some((row) => row.toolCallId === item.call_id);
      if (!isKnown && this.now() - sinceMs >= RUN_AFTER_MS) await this.#run(item);
    }
    if (call === this.#call && this.#open.size) this.#askLater();
  }

  /** @param {Item} item */
  async #run(item) {
    const output = await this.parts.run(item);
    if (!output || !this.#open.delete(item.call_id ?? '')) return;
    this.parts.answer(item.call_id ?? '', output);
  }

  /** @param {ToolCall|null} waiting */
  #show(waiting) {
    if (this.waiting?.id === waiting?.id) return;
    // The server may not keep what was said; the model's own words are here.
    this.waiting = waiting && { ...waiting, arguments: this.#open.get(waiting.toolCallId)?.item.arguments ?? waiting.arguments };
    this.dispatchEvent(new Event('change'));
  }
}

/** @param {ToolCall} row */
function isForPerson({ state, approval, approved }) {
  return state === 'waiting' && approval === 'person' && approved === null;
}

/**
 * The arguments of a tool's call, for a person to read.
 * @param {string} json
 * @returns {[string, string][]}
 */
export function readableArguments(json) {
  try {
    const values = JSON.parse(json);
    return Object.entries(values).map(([name, value]) => [name.replace(/_/g, ' '), typeof value === 'string' ? value : JSON.stringify(value)]);
  } catch {
    return [];
  }
}
