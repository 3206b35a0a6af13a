// @ts-check
// Who is at work in a live call, told by server events alone: listening, hearing, thinking or speaking.

/** @typedef {import('./events.js').ServerEvent} ServerEvent */
/** @typedef {'listening'|'hearing'|'thinking'|'speaking'|'muted'|'unstable'|'unheard'|'hold'|'holding'} LivePart */
/**
 * @typedef {object} Activity
 * @property {boolean} hearing the person is speaking
 * @property {boolean} waiting the person has finished and no reply has begun
 * @property {boolean} responding a reply is being made
 * @property {boolean} playing the reply can be heard
 * @property {string} tool public name of the tool at work; empty without one
 */

/** @type {Readonly<Activity>} */
export const QUIET = Object.freeze({ hearing: false, waiting: false, responding: false, playing: false, tool: '' });

/** A reply that never comes must not leave "Thinking…" standing. */
export const REPLY_WAIT_MS = 10_000;

/** @type {Readonly<Record<string, (activity: Readonly<Activity>, event: ServerEvent) => Partial<Activity>>>} */
const CHANGES = {
  'input_audio_buffer.speech_started': () => ({ hearing: true, waiting: false }),
  'input_audio_buffer.speech_stopped': () => ({ hearing: false, waiting: true }),
  'input_audio_buffer.cleared': () => ({ hearing: false, waiting: false }),
  'response.created': () => ({ responding: true, waiting: false }),
  'response.function_call_arguments.done': (_, event) => ({ tool: toolName(event.name ?? '') }),
  'response.done': (_, event) => ({ responding: false, waiting: endsInToolCall(event) }),
  'output_audio_buffer.started': () => ({ playing: true, tool: '' }),
  'output_audio_buffer.stopped': () => ({ playing: false }),
  'output_audio_buffer.cleared': () => ({ playing: false }),
  'local.asked': () => ({ waiting: true }),
  'local.wait_expired': () => ({ waiting: false, tool: '' }),
};

/**
 * Return the activity after an event; the same object when nothing changed.
 * @param {Readonly<Activity>} activity
 * @param {ServerEvent} event
 * @returns {Readonly<Activity>}
 */
export function nextActivity(activity, event) {
  const change = Object.hasOwn(CHANGES, event.type) ? CHANGES[event.type](activity, event) : {};
  const next = { ...activity, ...change };
  if (!next.responding && !next.waiting) next.tool = '';
  const same = Object.entries(next).every(([key, value]) => value === activity[/** @type {keyof Activity} */ (key)]);
  return same ? activity : next;
}

/**
 * Name the part in one word. Muted wins: who talks into a dead microphone must see why.
 * @param {Readonly<Activity>} activity
 * @param {boolean} muted
 * @returns {LivePart}
 */
export function livePart(activity, muted) {
  if (muted) return 'muted';
  if (activity.hearing) return 'hearing';
  if (activity.playing) return 'speaking';
  if (activity.responding || activity.waiting) return 'thinking';
  return 'listening';
}

/**
 * Tell whether there is a reply to stop.
 * @param {Readonly<Activity>} activity
 */
export function canStopReply(activity) {
  return activity.responding || activity.playing;
}

/**
 * Make a function's name readable: `find_book` → "find book".
 * @param {string} name
 */
export function toolName(name) {
  return name.replace(/[_-]+/g, ' ').trim();
}

/** A response that ends in a function call is followed by another one, once the tool has answered. @param {ServerEvent} event */
function endsInToolCall(event) {
  const response = event.response ?? {};
  return response.status === 'completed' && (response.output ?? []).some((item) => item.type === 'function_call');
}
