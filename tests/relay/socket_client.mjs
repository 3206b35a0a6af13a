// The official SDK for Node, over WebSocket through the relay: a tool call, then an answer that is interrupted.
// node socket_client.mjs URL API_KEY; prints what happened as one line of JSON.
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

const [url, apiKey] = process.argv.slice(2);
// Long enough to be cut short.
const LONG = `Say: ${'The library is open from nine to five. '.repeat(12)}`;
const seen = { tools: [], said: [], errors: [], interrupted: false, audioBytes: 0 };
const findBook = tool({
  name: 'find_book',
  description: 'Look a title up in the catalogue.',
  parameters: z.object({ title: z.string() }),
  execute: async ({ title }) => {
    seen.tools.push(title);
    return JSON.stringify({ copies: 2 });
  },
});
const agent = new RealtimeAgent({ name: 'Librarian', instructions: 'Keep answers short.', tools: [findBook] });
const session = new RealtimeSession(agent, { transport: 'websocket', model: 'gpt-realtime-2.1', tracingDisabled: true });
session.on('error', (event) => seen.errors.push(event.error?.error?.code ?? String(event.error)));
session.on('audio', (event) => {
  seen.audioBytes += event.data.byteLength;
});
session.on('audio_interrupted', () => {
  seen.interrupted = true;
});

/** Wait for a server event after `act` was done; rejects after 30 s. */
function after(act, type, isWanted = () => true) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${type}`)), 30_000);
    const listen = (event) => {
      if (event.type === type && isWanted(event)) {
        clearTimeout(timer);
        session.transport.off('*', listen);
        resolve(event);
      }
    };
    session.transport.on('*', listen);
    act();
  });
}

const isSaid = (event) => event.response.output.some((item) => item.type === 'message');
await after(() => session.connect({ apiKey, url }), 'session.updated', (event) => event.session.tools.length > 0);
const told = await after(() => session.sendMessage('Find the book Dune'), 'response.done', isSaid);
seen.said.push(told.response.output[0].content[0].transcript);
await after(() => session.sendMessage(LONG), 'response.output_audio.delta');
const cut = await after(() => session.interrupt(), 'response.done');
seen.said.push(cut.response.status);
console.log(JSON.stringify(seen));
session.close();
