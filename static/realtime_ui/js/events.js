// @ts-check
// Shapes of the protocol's events as far as the page reads them. Types only: unknown fields are ignored.

/**
 * @typedef {object} ContentPart
 * @property {string} type
 * @property {string|null} [text]
 * @property {string|null} [transcript]
 */
/**
 * @typedef {object} Item
 * @property {string} id
 * @property {string} type
 * @property {string} [role]
 * @property {string} [status]
 * @property {string} [name]
 * @property {string} [call_id] of a function call and of its output
 * @property {string} [output]
 * @property {string} [arguments] of a function call, as JSON
 * @property {ContentPart[]} [content]
 */
/**
 * @typedef {object} Response
 * @property {string} [id]
 * @property {string} [status]
 * @property {{type?: string, reason?: string, error?: {code?: string, message?: string}}|null} [status_details]
 * @property {Item[]} [output]
 */
/** @typedef {{id?: string, expires_at?: number, audio?: {input?: {turn_detection?: {interrupt_response?: boolean}|null}}}} Session */
/**
 * @typedef {object} ServerEvent
 * @property {string} type
 * @property {string} [event_id]
 * @property {string} [item_id]
 * @property {string|null} [previous_item_id]
 * @property {string} [response_id]
 * @property {number} [content_index]
 * @property {string} [delta]
 * @property {string} [text]
 * @property {string} [transcript]
 * @property {string} [name]
 * @property {Item} [item]
 * @property {Response} [response]
 * @property {Session} [session]
 * @property {{code?: string|null, message?: string, type?: string}} [error]
 * @property {number} [share] of the sound of an item that was heard, 0 to 1; only in `local.heard`
 */
/** @typedef {{type: string, [field: string]: unknown}} ClientEvent */

export {};
