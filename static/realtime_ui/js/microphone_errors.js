// @ts-check
// Why there is no microphone, and what to do in this browser. Knows no document.

/** @typedef {'insecure'|'unsupported'|'blocked'|'dismissed'|'blocked_by_system'|'missing'|'busy'} MicrophoneProblem */
/** @typedef {'chrome'|'firefox'|'safari_mac'|'safari_iphone'|'chrome_android'|'other'} BrowserKind */

/** @type {Readonly<Record<string, MicrophoneProblem>>} */
const PROBLEM_OF_NAME = {
  NotAllowedError: 'blocked',
  SecurityError: 'blocked',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'busy',
  AbortError: 'busy',
};

/** Thrown instead of the browser's own error. */
export class MicrophoneError extends Error {
  /** By which docs/errors.md lists it, whatever the problem. */
  code = 'microphone_access_denied';

  /** @param {MicrophoneProblem} problem */
  constructor(problem) {
    super(`No microphone: ${problem}`);
    this.name = 'MicrophoneError';
    this.problem = problem;
  }
}

/**
 * Name the problem behind what `getUserMedia` threw.
 * @param {unknown} error
 * @returns {MicrophoneProblem}
 */
export function problemOf(error) {
  const { name = '', message = '' } = /** @type {{name?: string, message?: string}} */ (error ?? {});
  // Chromium says this when the operating system, not the person, refuses.
  if (name === 'NotAllowedError' && /by system/i.test(message)) return 'blocked_by_system';
  // And this when the question was closed without an answer: the next try asks again.
  if (name === 'NotAllowedError' && /dismissed/i.test(message)) return 'dismissed';
  return Object.hasOwn(PROBLEM_OF_NAME, name) ? PROBLEM_OF_NAME[name] : 'busy';
}

/**
 * Tell the browsers apart as far as their permission steps differ.
 * @param {string} userAgent
 * @returns {BrowserKind}
 */
export function browserKind(userAgent) {
  if (/iPhone|iPad|iPod/.test(userAgent)) return 'safari_iphone';
  if (/Firefox\//.test(userAgent)) return 'firefox';
  if (/Android/.test(userAgent) && /Chrome\//.test(userAgent)) return 'chrome_android';
  if (/Chrome\/|Edg\//.test(userAgent)) return 'chrome';
  return /Macintosh/.test(userAgent) && /Safari\//.test(userAgent) ? 'safari_mac' : 'other';
}
