// @ts-check
// What a failure means to the person: error code → words and what they can do. Knows no document.

/** @typedef {'retry'|'choose'|'end_other'|'sign_in'|'type'|'reload'|'copy'} Remedy */
/** @typedef {{headline: string, line: string, remedies: readonly Remedy[]}} Advice keys of words, not words */
/**
 * @typedef {object} Failure
 * @property {string} code
 * @property {number} status HTTP status; 0 without an answer
 * @property {string} message the server's own sentence; empty without one
 * @property {string} requestId
 * @property {number} retryAfterS seconds until trying again makes sense; 0 at once
 * @property {string} metric the allowance that is used up, such as `seconds_a_month`; empty without one
 */

/** @param {string} name @param {readonly Remedy[]} remedies @returns {Advice} */
const advice = (name, remedies) => ({ headline: `error_${name}`, line: `error_${name}_line`, remedies });

const SIGNED_OUT = advice('signed_out', ['sign_in']);
const STALE_PAGE = advice('stale_page', ['reload']);
const NOT_OPEN = advice('not_open', ['choose']);
const BROWSER_CALL = advice('browser_call', ['retry']);
const UPSTREAM = advice('upstream', ['retry']);
const SECRET_SPENT = advice('secret_spent', ['retry']);
const UNKNOWN = advice('unknown', ['retry', 'copy']);

/** @type {Readonly<Record<string, Advice>>} */
export const ADVICE = Object.freeze({
  not_authenticated: SIGNED_OUT,
  csrf_failed: STALE_PAGE,
  permission_denied: NOT_OPEN,
  policy_denied: NOT_OPEN,
  unknown_agent: NOT_OPEN,
  agent_disabled: NOT_OPEN,
  origin_not_allowed: advice('origin', []),
  rate_limited: advice('rate_limited', ['retry']),
  quota_exceeded: advice('quota', []),
  too_many_calls: advice('too_many_calls', ['end_other', 'retry']),
  ephemeral_key_expired: SECRET_SPENT,
  client_secret_used: SECRET_SPENT,
  invalid_sdp: BROWSER_CALL,
  sdp_policy: BROWSER_CALL,
  openai_api_unavailable: UPSTREAM,
  upstream_timeout: UPSTREAM,
  upstream_bad_response: UPSTREAM,
  unknown_openai_error: UNKNOWN,
  limits_unavailable: advice('busy', ['retry']),
  busy: advice('busy', ['retry']),
  upstream_auth_failed: advice('server_key', []),
  not_configured: advice('not_set_up', []),
  audit_unavailable: advice('audit', ['retry']),
  token_generation_failed: UNKNOWN,
  // Found by the page itself:
  network: advice('network', ['retry']),
  webrtc_connection_failed: advice('no_media', ['retry']),
  connection_lost: advice('connection_lost', ['retry']),
  sdk_missing: advice('sdk_missing', ['reload']),
  unknown: UNKNOWN,
});

/** Codes whose message carries what the table cannot know: the time of the reset, or what is wrong with the offer. */
export const MESSAGE_MATTERS = new Set(['quota_exceeded', 'invalid_sdp', 'sdp_policy']);

/** What an allowance is counted for. */
const PERIOD = /_a_(day|month)$/;

/** @type {Readonly<Record<number, string>>} */
const CODE_OF_STATUS = {
  401: 'not_authenticated',
  403: 'permission_denied',
  429: 'rate_limited',
  502: 'openai_api_unavailable',
  503: 'openai_api_unavailable',
  504: 'upstream_timeout',
};

/** An error that carries a failure upwards. */
export class CallError extends Error {
  /** @param {Partial<Failure> & {code: string}} failure */
  constructor(failure) {
    super(failure.message || failure.code);
    this.name = 'CallError';
    /** @type {Failure} */
    this.failure = { status: 0, message: '', requestId: '', retryAfterS: 0, metric: '', ...failure };
  }
}

/** Words and remedies for a code. @param {string} code @param {string} [metric] @returns {Advice} */
export function adviceFor(code, metric = '') {
  const found = Object.hasOwn(ADVICE, code) ? ADVICE[code] : UNKNOWN;
  const period = code === 'quota_exceeded' ? PERIOD.exec(metric)?.[1] : undefined;
  return period ? { ...found, headline: `${found.headline}_${period}` } : found;
}

/**
 * Read a failure out of an answer: our own shape, the upstream's, or neither.
 * @param {number} status
 * @param {unknown} body parsed JSON, or null
 * @param {{get(name: string): string|null}} headers
 * @returns {Failure}
 */
export function parseFailure(status, body, headers) {
  const raw = /** @type {Record<string, any>} */ (body && typeof body === 'object' ? body : {});
  const upstream = raw.error && typeof raw.error === 'object' ? raw.error : {};
  const seconds = Number(headers.get('Retry-After') ?? (raw.retryAfter ?? 0) / 1000);
  return {
    code: String(raw.code || upstream.code || codeOf(status, raw)),
    status,
    message: String(raw.message || upstream.message || ''),
    requestId: String(raw.requestId || headers.get('X-Request-ID') || ''),
    retryAfterS: Number.isFinite(seconds) && seconds > 0 ? Math.ceil(seconds) : 0,
    metric: String(raw.context?.metric || ''),
  };
}

/** The relay's 401 is about the secret, not about the person. @param {number} status @param {Record<string, any>} body */
function codeOf(status, body) {
  if (status === 401 && body.error && typeof body.error === 'object') return 'ephemeral_key_expired';
  return CODE_OF_STATUS[status] ?? 'unknown';
}

/** Make a failure of anything thrown. @param {unknown} error @returns {Failure} */
export function failureOf(error) {
  if (error instanceof CallError) return error.failure;
  return new CallError({ code: 'unknown' }).failure;
}
