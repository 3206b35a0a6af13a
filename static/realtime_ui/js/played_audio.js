// @ts-check
// Which replies are heard, and how far: joins the sound that comes in events to what the player says it has played.
// Tells the rest of the page in the events that WebRTC has for it, `output_audio_buffer.started`, `.stopped` and
// `.cleared`. Knows no Web Audio.

import { PCM_RATE_HZ } from './pcm.js';

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {import('./events.js').ClientEvent} ClientEvent */
/**
 * @typedef {object} Player
 * @property {(id: string, base64: string) => number} play returns how many samples that is, at PCM_RATE_HZ
 * @property {(id: string) => void} end
 * @property {() => void} clear
 */
/** @typedef {{itemId: string, contentIndex: number, responseId: string, received: number, playedMs: number, isWhole: boolean, isOver: boolean}} Part the sound of one content part; isWhole: all of it has come */

export class PlayedAudio {
  /** @type {Map<string, Part>} by the id that the player knows it by, in order */
  #parts = new Map();
  /** @type {Set<string>} responses that can be heard */
  #heard = new Set();
  /** @type {Set<string>} responses that are not finished */
  #open = new Set();
  /** @type {Set<string>} responses of which nothing more is to be heard */
  #silenced = new Set();

  /** @param {Player} player @param {(event: ServerEvent) => void} emit */
  constructor(player, emit) {
    this.player = player;
    this.emit = emit;
  }

  /** A reply is being made that nobody has stopped. */
  get canCancel() {
    return [...this.#open].some((id) => !this.#silenced.has(id));
  }

  /** @param {ServerEvent} event */
  take(event) {
    if (event.type === 'response.created') this.#open.add(event.response?.id ?? '');
    if (event.type === 'response.output_audio.delta') this.#takeSound(event);
    if (event.type === 'response.output_audio.done') this.#close(keyOf(event));
    if (event.type === 'response.done') this.#finish(event.response?.id ?? '');
  }

  /** What the player has played of a part, or that it is over. @param {{id: string, playedMs: number, isOver: boolean}} report */
  report({ id, playedMs, isOver }) {
    const part = this.#parts.get(id);
    if (!part) return; // cleared meanwhile
    part.playedMs = playedMs;
    part.isOver = isOver;
    if (playedMs > 0 && !this.#heard.has(part.responseId)) {
      this.#heard.add(part.responseId);
      this.emit({ type: 'output_audio_buffer.started', response_id: part.responseId });
    }
    if (isOver) this.#noteSilence(part.responseId);
  }

  /**
   * Fall silent at once. Returns the events that tell the server how much was heard of what was cut.
   * @returns {ClientEvent[]}
   */
  cut() {
    const cut = [...this.#parts.values()].filter((part) => !part.isOver);
    for (const id of this.#open) this.#silenced.add(id);
    this.player.clear();
    this.#parts.clear();
    for (const part of cut) this.emit({ type: 'local.heard', item_id: part.itemId, content_index: part.contentIndex, share: shareOf(part) });
    for (const id of new Set(cut.map((part) => part.responseId))) this.emit({ type: 'output_audio_buffer.cleared', response_id: id });
    this.#heard.clear();
    return cut.filter((part) => Math.floor(part.playedMs) > 0).map(truncation);
  }

  /** @param {ServerEvent} event */
  #takeSound(event) {
    const responseId = event.response_id ?? '';
    if (this.#silenced.has(responseId)) return;
    const id = keyOf(event);
    const part = this.#parts.get(id) ?? { itemId: event.item_id ?? '', contentIndex: event.content_index ?? 0, responseId, received: 0, playedMs: 0, isWhole: false, isOver: false };
    this.#parts.set(id, part);
    part.received += this.player.play(id, event.delta ?? '');
  }

  /** @param {string} id */
  #close(id) {
    const part = this.#parts.get(id);
    if (!part || part.isWhole) return;
    part.isWhole = true;
    this.player.end(id);
  }

  /** @param {string} responseId */
  #finish(responseId) {
    this.#open.delete(responseId);
    this.#silenced.delete(responseId);
    for (const [id, part] of this.#parts) if (part.responseId === responseId) this.#close(id);
    this.#noteSilence(responseId);
  }

  /** Say that a reply has been heard to its end, once it is made and played. @param {string} responseId */
  #noteSilence(responseId) {
    const own = [...this.#parts].filter(([, part]) => part.responseId === responseId);
    if (this.#open.has(responseId) || own.some(([, part]) => !part.isOver)) return;
    for (const [id] of own) this.#parts.delete(id);
    if (this.#heard.delete(responseId)) this.emit({ type: 'output_audio_buffer.stopped', response_id: responseId });
  }
}

/** @param {ServerEvent} event */
function keyOf(event) {
  return `${event.item_id}:${event.content_index ?? 0}`;
}

/** @param {Part} part */
function receivedMs(part) {
  return (part.received * 1000) / PCM_RATE_HZ;
}

/** @param {Part} part */
function shareOf(part) {
  return part.received ? Math.min(1, part.playedMs / receivedMs(part)) : 0;
}

/** More than was sent must not be claimed. @param {Part} part @returns {ClientEvent} */
function truncation(part) {
  const heardMs = Math.floor(Math.min(part.playedMs, receivedMs(part)));
  return { type: 'conversation.item.truncate', item_id: part.itemId, content_index: part.contentIndex, audio_end_ms: heardMs };
}
