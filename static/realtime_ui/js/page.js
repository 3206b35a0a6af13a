// @ts-check
// The voice page: joins the call (model) to the parts of the page (elements). Reads `#page-config`, `#page-words`
// and `meta[name=csrf-token]`. For everyone who watches from outside: `body[data-state]`, `body[data-live]`
// (part of a live call), `body[data-call-id]`, `body[data-input-level]`, `body[data-output-level]`.

import { leftWords } from './allowance.js';
import { decideTool, endOwnCalls, fetchCallTools, fetchUsage, handOver, issueClientSecret, reportCallEvent, runTool } from './api.js';
import { ApprovalDialog } from './approval_dialog.js';
import { Call } from './call.js';
import { CallFacts } from './call_facts.js';
import { costWords, showCost, showDelay } from './call_figures.js';
import { BEGUN_STATES, BUSY_STATES } from './call_state.js';
import { CallTools } from './call_tools.js';
import { CallNews } from './call_news.js';
import { showCaptionChoices } from './caption_choices.js';
import { Composer } from './composer.js';
import { ConnectionWatch } from './connection_watch.js';
import { ConversationView } from './conversation_view.js';
import { showDevices } from './device_pickers.js';
import { Devices } from './devices.js';
import { repeatTurns } from './earlier_turns.js';
import { HandOverMenu } from './hand_over_menu.js';
import { listenForHold } from './hold_button.js';
import { LimitNotes } from './limit_notes.js';
import { MediaKeys } from './media_keys.js';
import { openSilence } from './microphone.js';
import { showOwnButton, watchPermission } from './microphone_ask.js';
import { MicrophoneNote } from './microphone_note.js';
import { Orb } from './orb.js';
import { PageSound } from './page_sound.js';
import { joinFields } from './preference_fields.js';
import { Preferences } from './preferences.js';
import { describe } from './presentation.js';
import { ReplyDelay } from './reply_delay.js';
import { RouteNote } from './route_note.js';
import { Routes } from './routes.js';
import { loadSdk } from './sdk.js';
import { listenForShortcuts } from './shortcuts.js';
import { SilenceWatch } from './silence_watch.js';
import { Stage } from './stage.js';
import { createTransport } from './transports.js';
import { WakeLock } from './wake_lock.js';
import { clockTime, createWords } from './words.js';

const TICK_MS = 500;
/** Problems of the microphone that another question can solve. */
const ASKED_AGAIN = new Set(['blocked', 'dismissed']);

/** @typedef {{name: string, handsOverTo: string[]}} AgentAtHand handsOverTo: slugs */
/** @type {import('./api.js').ApiConfig & import('./transports.js').TransportUrls & {usageUrl: string, healthUrl: string, dryRunUrl: string, loginUrl: string, streamUrl: string, transport: import('./routes.js').Kind, repeatsTurns: boolean, longestCallS: number, agents: Readonly<Record<string, AgentAtHand>>}} */
const config = { ...json('page-config'), csrfToken: byCss('meta[name=csrf-token]').getAttribute('content') ?? '' };
const words = createWords(json('page-words'));
const timer = byCss('[data-part=timer]');
const panelElement = byCss('[data-part=panel]');
const picker = /** @type {HTMLSelectElement|HTMLInputElement} */ (byCss('[name=agent]'));
const plainTitle = document.title;
const preferences = new Preferences();
const devices = new Devices(preferences);
const limitNotes = new LimitNotes();
const routes = new Routes(preferences, { standard: config.transport });
const silence = new SilenceWatch();
const microphoneNote = new MicrophoneNote(byCss('[data-part=microphone-note]'));
const wakeLock = new WakeLock();

/** @type {PageSound|null} */
let sound = null;
let replyDelay = new ReplyDelay();
let retryAtMs = 0;
let isAllowed = false;

const call = new Call({
  openMicrophone: async () => heard(await devices.open()),
  openSilence: () => heard(openSilence()),
  issueClientSecret: askForSecret,
  report: (callId, report) => reportCallEvent(config, callId, report, takeFacts),
  createTransport: (options) => createTransport(config, routes.kind, { ...options, audioElement: speaker() }),
  network: { isOnline: () => navigator.onLine, onOnline: (listener, signal) => addEventListener('online', listener, { signal }) },
  routes,
  longestMs: config.longestCallS * 1000,
  earlierTurns: () => (config.repeatsTurns ? repeatTurns(conversation.said()) : []),
});
const facts = new CallFacts(() => call.parts.report(call.callId, { type: 'heartbeat' }));
const tools = new CallTools({
  list: () => fetchCallTools(config, call.callId),
  decide: (id, approve) => decideTool(config, call.callId, id, approve),
  run: (item) => runTool(config, call.callId, item),
  answer: (toolCallId, output) => call.answerTool(toolCallId, output),
});
const approval = new ApprovalDialog(/** @type {HTMLDialogElement} */ (byCss('dialog.approval')), words, (approve) => tools.decide(approve));
const news = new CallNews(config.streamUrl);
const stage = new Stage(byCss('.stage'), act);
const conversation = new ConversationView(panelElement, words, {
  callId: () => call.callId,
  readsAloud: () => preferences.get('readAloud') || (call.typing && preferences.get('silent')),
});
const handOverMenu = new HandOverMenu(panelElement, goOnWith);
const composer = new Composer(/** @type {HTMLFormElement} */ (byCss('.composer')), words, (text) => call.sendText(text));
const mediaKeys = new MediaKeys({ onMute: (muted) => call.mute(muted), onEnd: () => call.hangUp() });
const orb = new Orb(/** @type {HTMLCanvasElement} */ (byCss('.orb__canvas')), () => sound?.loudest() ?? 0);
const help = /** @type {HTMLDialogElement} */ (byCss('#keys-help'));
const connectionWatch = new ConnectionWatch(document, words, () => call.liveTransport);
const drawerElement = /** @type {HTMLDetailsElement|null} */ (document.querySelector('.log-drawer'));
/** Fetched by the few who see it; events wait for it in their order. */
const drawer = drawerElement && import('./log_drawer.js').then(({ openLog }) => openLog(drawerElement, preferences, words)).catch(() => null);

call.addEventListener('change', draw);
call.addEventListener('stop-reply', () => conversation.change((transcript) => transcript.noteStop()));
call.addEventListener('connecting-again', () => tools.stop());
call.addEventListener('connecting-again', () => {
  conversation.change((transcript) => {
    transcript.reconnect();
    transcript.changeAgent(call.agent);
  });
});
call.addEventListener('connected-again', (event) => {
  const isTold = /** @type {CustomEvent} */ (event).detail;
  conversation.change((transcript) => transcript.note(isTold ? 'reconnected' : 'reconnected_anew'));
});
call.addEventListener('server-event', (event) => takeServerEvent(/** @type {CustomEvent} */ (event).detail));
call.addEventListener('client-event', (event) => keep(/** @type {CustomEvent} */ (event).detail, true));
listenForShortcuts({ onMute: () => call.mute(!call.muted), onStop: () => call.stopReply(), onHelp: () => help.showModal(), areLettersAllowed: () => preferences.get('letterKeys') });
byCss('[data-part=help]').addEventListener('click', () => help.showModal());
news.addEventListener('ended', (event) => {
  if (routes.kind === 'webrtc') call.noteEnd(/** @type {CustomEvent} */ (event).detail); // a socket says itself why it closes
});
limitNotes.addEventListener('note', sayNote);
news.addEventListener('change', showNews);
facts.addEventListener('change', showFacts);
tools.addEventListener('change', () => approval.show(tools.waiting));
facts.addEventListener('muted', () => conversation.change((transcript) => transcript.note('muted_by_administrator')));
facts.addEventListener('unmuted', () => conversation.change((transcript) => transcript.note('unmuted_by_administrator')));
addEventListener('pagehide', () => call.leave());
addEventListener('beforeunload', (event) => {
  if (BEGUN_STATES.has(call.state)) event.preventDefault();
});
picker.addEventListener('change', showAgent);
joinFields(document, preferences);
byCss('[data-part=check]').addEventListener('click', checkConnection);
listenForHold(/** @type {HTMLButtonElement} */ (byCss('[data-action=talk]')), { onPress: () => call.talk.press(), onRelease: () => call.talk.release(), isKeyAllowed: () => preferences.get('letterKeys') });
preferences.addEventListener('change', () => call.talk.want(preferences.get('pushToTalk')));
call.talk.want(preferences.get('pushToTalk'));
call.talk.addEventListener('note', sayNote);
showDevices(byCss('.devices'), devices, words);
devices.addEventListener('microphone', (event) => speakThrough(/** @type {CustomEvent} */ (event).detail));
devices.addEventListener('note', sayNote);
showCaptionChoices(preferences);
void watchPermission((isGranted) => {
  isAllowed = isGranted && call.state === 'blocked';
  draw();
});
const routeNote = new RouteNote(byCss('.stage'), routes, words);
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
  if (action === 'try_now') call.reconnection.tryNow();
  if (action === 'end_other') void endOwnCalls(config).then(() => start(call.typing));
  if (action === 'choose') choose();
  if (action === 'download') conversation.download('txt');
  if (action === 'reload') location.reload();
  if (action === 'sign_in') location.assign(`${config.loginUrl}?next=${encodeURIComponent(location.pathname)}`);
  if (action === 'check') checkConnection();
  if (action === 'copy') copyDetails();
}

function choose() {
  call.choose();
  picker.focus();
}

/** @param {boolean} typing */
function start(typing) {
  if (BUSY_STATES.has(call.state)) return;
  conversation.begin(picker.value, agentNames());
  facts.begin();
  limitNotes.reset();
  replyDelay = new ReplyDelay();
  showDelay(panelElement, words, replyDelay);
  sound = new PageSound(/** @type {HTMLMeterElement} */ (byCss('.stage meter')), preferences, { onBlockedChange: showStage, onInput: watchSilence });
  silence.forget();
  microphoneNote.clear();
  isAllowed = false;
  loadSdk(config.sdkUrl).catch(() => undefined); // fetched while the person answers the microphone's question
  call.start(picker.value, { typing });
}

/** The version that is tried and the voice that is chosen are the chosen agent's alone. @param {string} agent @param {AbortSignal} signal */
function askForSecret(agent, signal) {
  const isChosen = agent === picker.value;
  return issueClientSecret(isChosen ? config : { ...config, version: 0 }, agent, signal, isChosen ? voicePicker()?.value : '');
}

/** @param {MediaStream} stream that the browser's own button gave */
function startWith(stream) {
  devices.offer(stream);
  start(false);
}

function draw() {
  const { state, part, failure } = call;
  const isNew = document.body.dataset.state !== state;
  Object.assign(document.body.dataset, { state, live: state === 'live' ? part : '', callId: call.callId });
  if (isNew && state === 'failed') retryAtMs = Date.now() + (failure?.retryAfterS ?? 0) * 1000;
  if (!BUSY_STATES.has(state)) closeCall();
  panelElement.hidden = !(BEGUN_STATES.has(state) || conversation.hasTurns);
  for (const field of document.querySelectorAll('[name=agent], [name=voice]')) /** @type {HTMLSelectElement} */ (field).disabled = BUSY_STATES.has(state);
  showHandOver();
  const canPick = picker.type !== 'hidden' || voicePicker();
  byCss('[data-part=agent-locked]').hidden = !(BUSY_STATES.has(state) && canPick) || handOverMenu.isOffered;
  composer.show(state);
  showStage();
  showOwnButton(byCss('[data-part=ask]'), state === 'blocked' && !isAllowed && ASKED_AGAIN.has(call.problem), devices.processing, startWith);
  const isOn = BUSY_STATES.has(state) && call.liveSinceMs > 0;
  wakeLock.want(isOn);
  mediaKeys.show(isOn ? { agent: conversation.agent.name, muted: call.muted } : null);
  routeNote.show(BEGUN_STATES.has(state));
  news.follow(state === 'live' ? call.callId : '');
  orb.recolour();
  document.title = state === 'live' ? words(part === 'muted' ? 'title_muted' : 'title_live', { agent: conversation.agent.name }) : plainTitle;
  if (isNew) void connectionWatch.read();
  if (isNew && state === 'live' && call.typing) composer.focus();
  if (isNew && (state === 'ended' || state === 'failed')) showLeft();
}

function showNews() {
  byCss('[data-part=watched]').textContent = news.isWatched ? words('watched_by_administrator') : '';
  showStage();
}

async function showLeft() {
  byCss('[data-part=left]').textContent = leftWords(await fetchUsage(config.usageUrl), words);
}

function showStage() {
  const waitS = Math.max(0, Math.ceil((retryAtMs - Date.now()) / 1000));
  const hasTranscript = conversation.hasTurns;
  const soundBlocked = sound?.isBlocked ?? false;
  const around = { userAgent: navigator.userAgent, waitS, hasTranscript, canChoose: picker.type !== 'hidden', soundBlocked, soundStopped: sound?.hasPlayed, isAllowed, cost: costWords(facts.now, words), isFree: facts.now.isFree, endReason: news.reason };
  stage.show(describe(call, words, around), call);
  document.body.dataset.typing = String(call.typing);
}

/** Whatever way the call ended, its sound goes. */
function closeCall() {
  if (!sound) return;
  facts.stop();
  tools.stop();
  limitNotes.reset();
  if (call.endReason === 'administrator') conversation.change((transcript) => transcript.note('ended_by_administrator'));
  sound.close();
  sound = null;
  microphoneNote.clear();
  conversation.close();
}

function tick() {
  timer.textContent = call.liveSinceMs ? clockTime((call.endedAtMs || Date.now()) - call.liveSinceMs) : '';
  if (call.state === 'failed' || call.state === 'reconnecting') showStage();
}

/** @param {import('./events.js').ServerEvent} event */
function takeServerEvent(event) {
  keep(event, false);
  const before = conversation.agent.slug;
  conversation.take(event);
  if (conversation.agent.slug !== before) noteAgent();
  facts.note(event);
  tools.note(event);
  if (replyDelay.take(event)) showDelay(panelElement, words, replyDelay);
}

/** Somebody else talks from now on; a connection that is lost goes on with them, if they are open to this person at all. */
function noteAgent() {
  const { slug, name } = conversation.agent;
  if (Object.hasOwn(config.agents, slug)) call.agent = slug;
  microphoneNote.say(words('note_agent_changed', { text: name }));
  draw();
}

function showHandOver() {
  const slugs = call.state === 'live' ? (config.agents[conversation.agent.slug]?.handsOverTo ?? []) : [];
  handOverMenu.show(slugs.map((slug) => ({ slug, name: config.agents[slug].name })));
}

/** @param {string} slug */
async function goOnWith(slug) {
  const { name } = config.agents[slug];
  microphoneNote.say(words('hand_over_asked', { name }));
  if (!(await handOver(config, call.callId, slug)) && call.state === 'live') microphoneNote.say(words('hand_over_refused', { name }));
}

/** @param {import('./call_facts.js').Facts} known */
function takeFacts(known) {
  facts.take(known);
  if (BEGUN_STATES.has(call.state)) limitNotes.take(known.secondsLeft);
}

function showFacts() {
  showCost(panelElement, words, facts.now);
  if (call.state === 'ended') showStage();
}

/** @param {{type: string}} event @param {boolean} sent */
function keep(event, sent) {
  void drawer?.then((log) => log?.add(event, sent));
}

/** @param {import('./microphone.js').SoundSource} source */
function heard(source) {
  sound?.listenTo(source.stream);
  return source;
}

/** @param {MediaStream} stream of the microphone that is used from now on */
function speakThrough(stream) {
  sound?.listenTo(stream);
  silence.forget();
  call.replaceTrack(stream.getAudioTracks()[0]);
}

/** @param {Event} event with a key of words and their values */
function sayNote(event) {
  const { key, values } = /** @type {CustomEvent} */ (event).detail;
  microphoneNote.say(words(key, values));
}

/** @param {number} level of the person's microphone */
function watchSilence(level) {
  const isListening = call.state === 'live' && call.part === 'listening' && !call.typing;
  microphoneNote.stand(silence.note(level, isListening, Date.now()) ? words('microphone_unheard') : '');
}

function speaker() {
  return sound?.element ?? document.createElement('audio');
}

async function checkConnection() {
  const { openDoctor } = await import('./doctor_panel.js');
  openDoctor(byCss('dialog.doctor'), words, { config, wish: () => ({ agent: picker.value, microphone: devices.wish }), failure: () => call.failure });
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
  if (drawerElement) drawerElement.hidden = !('showsLog' in chosenAgent().dataset);
}

/** The picker of the chosen agent's voice, where there is anything to choose. @returns {HTMLSelectElement|null} */
function voicePicker() {
  return document.querySelector('[data-agent]:not([hidden]) [name=voice]');
}

/** What stands for the chosen agent: an option of the picker, or the field of the only one. */
function chosenAgent() {
  return picker instanceof HTMLSelectElement ? picker.selectedOptions[0] : picker;
}

/** Names by slug, of all that may be talked to. */
function agentNames() {
  return Object.fromEntries(Object.entries(config.agents).map(([slug, { name }]) => [slug, name]));
}

/** @param {string} id */
function json(id) {
  return JSON.parse(byCss(`#${id}`).textContent ?? '');
}

/** @param {string} selector */
function byCss(selector) {
  return /** @type {HTMLElement} */ (document.querySelector(selector));
}
