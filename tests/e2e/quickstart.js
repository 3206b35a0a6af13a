// What the SDK's quickstart shows, against our own server: an agent, a session, connect({ apiKey }).
const { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession } = globalThis.OpenAIAgentsRealtime;
const { dataset } = document.documentElement;

const agent = new RealtimeAgent({ name: 'Assistant', instructions: 'You are a helpful assistant.' });
const audioElement = document.getElementById('speaker');
const transport = new OpenAIRealtimeWebRTC({ baseUrl: `${location.origin}/v1/realtime/calls`, audioElement });
const session = new RealtimeSession(agent, { transport });
session.on('history_updated', (history) => {
  dataset.history = JSON.stringify(history);
});
session.on('error', (error) => {
  dataset.error = JSON.stringify(error);
});

const front = new DOMParser().parseFromString(await (await fetch('/')).text(), 'text/html');
const answer = await fetch('/api/client-secret', {
  method: 'POST',
  headers: { 'X-CSRFToken': front.querySelector('meta[name=csrf-token]').content },
});
const { value } = await answer.json();
await session.connect({ apiKey: value });
dataset.connected = 'true';
dataset.callId = transport.callId;

const context = new AudioContext();
const analyser = context.createAnalyser();
context.createMediaStreamSource(audioElement.srcObject).connect(analyser);
const samples = new Float32Array(analyser.fftSize);
let loudest = 0;
setInterval(() => {
  analyser.getFloatTimeDomainData(samples);
  loudest = Math.max(loudest, ...samples.map(Math.abs));
  dataset.loudest = loudest.toFixed(3);
}, 50);
addEventListener('stop-talking', () => session.close());
