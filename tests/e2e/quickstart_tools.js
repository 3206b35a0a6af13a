// A page of somebody else whose session has a tool of its own, over the transport that its address names.
const { OpenAIRealtimeWebRTC, OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } = globalThis.OpenAIAgentsRealtime;
const { dataset } = document.documentElement;
const isSocket = location.search === '?websocket';

const findBook = tool({
  name: 'find_book',
  description: 'Look a title up in the catalogue.',
  parameters: { type: 'object', properties: { title: { type: 'string' } }, required: ['title'], additionalProperties: true },
  strict: false,
  execute: ({ title }) => {
    dataset.title = title;
    return 'two copies on the second floor';
  },
});
const agent = new RealtimeAgent({ name: 'Assistant', instructions: 'You are a librarian.', tools: [findBook] });
const transport = isSocket
  ? new OpenAIRealtimeWebSocket({ url: `${location.origin.replace('http', 'ws')}/v1/realtime` })
  : new OpenAIRealtimeWebRTC({ baseUrl: `${location.origin}/v1/realtime/calls`, audioElement: document.getElementById('speaker') });
const config = { turnDetection: { type: 'server_vad' }, inputAudioTranscription: { model: 'gpt-transcribe' } };
const session = new RealtimeSession(agent, { transport, tracingDisabled: true, config });
session.on('history_updated', (history) => {
  dataset.history = JSON.stringify(history);
});
session.on('error', ({ error }) => {
  dataset.error = `${dataset.error ?? ''} ${error?.error?.code ?? error?.message ?? ''}`;
});
session.on('audio', ({ data }) => {
  dataset.soundBytes = String(Number(dataset.soundBytes ?? 0) + data.byteLength);
});
session.on('audio_interrupted', () => {
  dataset.interrupted = 'true';
});
session.on('transport_event', ({ type, delta }) => {
  if (type === 'response.output_audio_transcript.delta') dataset.said = (dataset.said ?? '') + delta;
  if (type === 'output_audio_buffer.started') dataset.sounding = 'true';
  if (type === 'output_audio_buffer.cleared') dataset.interrupted = 'true';
});

const front = new DOMParser().parseFromString(await (await fetch('/')).text(), 'text/html');
const headers = { 'X-CSRFToken': front.querySelector('meta[name=csrf-token]').content };
const { value } = await (await fetch('/api/client-secret', { method: 'POST', headers })).json();
await session.connect({ apiKey: value });
dataset.connected = 'true';
addEventListener('say', ({ detail }) => session.sendMessage(detail));
addEventListener('interrupt', () => session.interrupt());
