// @ts-check
// The voice page: joins the call (model) to the parts of the page (elements). Reads `#page-config`, `#page-words`
// and `meta[name=csrf-token]`. For everyone who watches from outside: `body[data-state]`, `body[data-live]`
// (part of a live call), `body[data-call-id]`, `body[data-input-level]`, `body[data-output-level]`.

import { leftWords } from './allowance.js';
import { fetchUsage, issueClientSecret, reportCallEvent } from './api.js';
import { Call } from './call.js';
import { BUSY_STATES } from './call_state.js';
import { Composer } from './composer.js';
import { EventLog } from './event_log.js';
import { LogDrawer } from './log_drawer.js';
import { openMicrophone, openSilence } from './microphone.js';
import { Orb } from './orb.js';
import { PageSound } from './page_sound.js';
import { describe } from './presentation.js';
import { loadSdk } from './sdk.js';
import { listenForShortcuts } from './shortcuts.js';
import { Stage } from './stage.js';
import { Transcript } from './transcript.js';
import { transcriptText } from './transcript_file.js';
import { TranscriptPanel } from './transcript_panel.js';
import { createTransport } from './transport.js';
import { clockTime, createWords } from './words.js';

const TICK_MS = 500;
const TRANSCRIPT_REDRAW_MS = 30;

/** @type {import('./api.js').ApiConfig & {callsUrl: string, usageUrl: string, sdkUrl: string, loginUrl: string, debug: boolean}} */
const config = { ...json('page-config'), csrfToken: byCss('meta[name=csrf-token]').getAttribute('content') ?? '' };
const words = createWords(json('page-words'));
const timer = byCss('[data-part=timer]');
const panelElement = byCss('[data-part=panel]');
const picker = /** @type {HTMLSelectElement|HTMLInputElement} */ (byCss('[name=agent]'));
const plainTitle = document.title;

/** @type {PageSound|null} */
let sound = null;
let transcript = new Transcript();
/** @type {ReturnType<typeof setTimeout>|undefined} */
let transcriptTimer;
let retryAtMs = 0;

const call = new Call({
  openMicrophone: async () => heard(await openMicrophone()),
  openSilence: () => heard(openSilence()),
  issueClientSecret: (agent, signal) => issueClientSecret(config, agent, signal),
  createTransport: (options) => createTransport(config.sdkUrl, { ...options, callsUrl: absolute(config.callsUrl), audioElement: speaker() }),
  report: (callId, report) => reportCallEvent(config, callId, report),
});
const stage = new Stage(byCss('.stage'), act);
const panel = new TranscriptPanel(panelElement, words, agentName);
const composer = new Composer(/** @type {HTMLFormElement} */ (byCss('.composer')), words, (text) => call.sendText(text));
const orb = new Orb(/** @type {HTMLCanvasElement} */ (byCss('.orb__canvas')), () => sound?.loudest() ?? 0);
const log = new EventLog();
const drawerElement = /** @type {HTMLDetailsElement|null} */ (document.querySelector('.log-drawer'));
const drawer = drawerElement && new LogDrawer(drawerElement, log);

call.addEventListener('change', draw);
call.addEventListener('stop-reply', () => transcript.noteStop());
call.addEventListener('server-event', (event) => takeServerEvent(/** @type {CustomEvent} */ (event).detail));
call.addEventListener('client-event', (event) => keep(/** @type {CustomEvent} */ (event).detail, true));
listenForShortcuts({ onMute: () => call.mute(!call.muted), onStop: () => call.stopReply() });
addEventListener('pagehide', () => call.leave());
addEventListener('beforeunload', (event) => {
  if (call.state === 'live') event.preventDefault();
});
picker.addEventListener('change', showAgent);
setInterval(tick, TICK_MS);
showAgent();
draw();
showLeft();

/** @param {import('./presentation.js').Action} action */
function act(action) {
  if (action === 'start') start(call.state === 'failed' && call.typing);
  if (action === 'type') start(true);
  if (action === 'cancel') call.cancel();
  if (action === 'play') sound?.play();
  if (action === 'mute') call.mute(!call.muted);
  if (action === 'stop') call.stopReply();
  if (action === 'end') call.hangUp();
  if (action === 'download') download();
  if (action === 'reload') location.reload();
  if (action === 'sign_in') location.assign(`${config.loginUrl}?next=${encodeURIComponent(location.pathname)}`);
  if (action === 'copy') copyDetails();
}

/** @param {boolean} typing */
function start(typing) {
  if (BUSY_STATES.has(call.state)) return;
  transcript = new Transcript();
  panel.show([]);
  sound = new PageSound(/** @type {HTMLMeterElement} */ (byCss('.stage meter')), showStage);
  loadSdk(config.sdkUrl).catch(() => undefined); // fetched while the person answers the microphone's question
  call.start(picker.value, { typing });
}

function draw() {
  const { state, part, failure } = call;
  const isNew = document.body.dataset.state !== state;
  Object.assign(document.body.dataset, { state, live: state === 'live' ? part : '', callId: call.callId });
  if (isNew && state === 'failed') retryAtMs = Date.now() + (failure?.retryAfterS ?? 0) * 1000;
  if (!BUSY_STATES.has(state)) closeCall();
  panelElement.hidden = !(state === 'live' || transcript.turns().length);
  picker.disabled = BUSY_STATES.has(state);
  composer.setLive(state === 'live');
  showStage();
  orb.recolour();
  document.title = state === 'live' ? words(part === 'muted' ? 'title_muted' : 'title_live', { agent: agentName() }) : plainTitle;
  if (isNew && state === 'live' && call.typing) composer.focus();
  if (isNew && (state === 'ended' || state === 'failed')) showLeft();
}

async function showLeft() {
  byCss('[data-part=left]').textContent = leftWords(await fetchUsage(config.usageUrl), words);
}

function showStage() {
  const waitS = Math.max(0, Math.ceil((retryAtMs - Date.now()) / 1000));
  const hasTranscript = transcript.turns().length > 0;
  stage.show(describe(call, words, { userAgent: navigator.userAgent, waitS, hasTranscript, soundBlocked: sound?.isBlocked ?? false }), call);
  document.body.dataset.typing = String(call.typing);
}

/** Whatever way the call ended, its sound goes. */
function closeCall() {
  if (!sound) return;
  sound.close();
  sound = null;
  transcript.close();
  panel.show(transcript.turns());
}

function tick() {
  timer.textContent = call.liveSinceMs ? clockTime((call.endedAtMs || Date.now()) - call.liveSinceMs) : '';
  if (call.state === 'failed') showStage();
}

/** @param {import('./events.js').ServerEvent} event */
function takeServerEvent(event) {
  keep(event, false);
  if (!transcript.apply(event)) return;
  transcriptTimer ??= setTimeout(() => {
    transcriptTimer = undefined;
    panel.show(transcript.turns());
  }, TRANSCRIPT_REDRAW_MS);
}

/** @param {{type: string}} event @param {boolean} sent */
function keep(event, sent) {
  if (!drawer) return;
  log.add(event, sent);
  drawer.changed();
}

/** @param {import('./microphone.js').SoundSource} source */
function heard(source) {
  sound?.listenTo(source.stream);
  return source;
}

function speaker() {
  return sound?.element ?? document.createElement('audio');
}

function download() {
  const text = transcriptText(transcript.turns(), words, { agent: agentName(), callId: call.callId });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = `${call.callId || 'conversation'}.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function copyDetails() {
  const { requestId = '', code = '', status = 0 } = call.failure ?? {};
  await navigator.clipboard.writeText(`${requestId} ${code} ${status} ${new Date().toISOString()}`);
  byCss('[data-part=status]').textContent = words('copied');
}

function showAgent() {
  for (const note of document.querySelectorAll('[data-agent]')) {
    /** @type {HTMLElement} */ (note).hidden = /** @type {HTMLElement} */ (note).dataset.agent !== picker.value;
  }
}

function agentName() {
  return picker instanceof HTMLSelectElement ? picker.selectedOptions[0].text : (picker.dataset.name ?? '');
}

/** @param {string} path */
function absolute(path) {
  return new URL(path, location.origin).href;
}

/** @param {string} id */
function json(id) {
  return JSON.parse(byCss(`#${id}`).textContent ?? '');
}

/** @param {string} selector */
function byCss(selector) {
  return /** @type {HTMLElement} */ (document.querySelector(selector));
}
