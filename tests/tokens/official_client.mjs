// What the vendor's own JavaScript client makes of our answers; prints one line of JSON for the test that runs it.
import OpenAI from 'openai';

const baseURL = `${process.env.VOICEAGENT_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.VOICEAGENT_KEY, maxRetries: 0 });
const stranger = new OpenAI({ baseURL, apiKey: 'vak_wrong', maxRetries: 0 });

/** @param {() => Promise<unknown>} ask */
async function nameOfError(ask) {
  try {
    await ask();
    return 'none';
  } catch (error) {
    return `${error.constructor.name} ${error.status} ${error.code}`;
  }
}

const made = await client.realtime.clientSecrets.create({
  expires_after: { anchor: 'created_at', seconds: 60 },
  session: { type: 'realtime', audio: { output: { voice: 'cedar' } } },
});
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const unknownField = () => client.realtime.clientSecrets.create(/** @type {any} */ ({ model: 'gpt-realtime-2.1' }));
console.log(JSON.stringify({
  value: made.value,
  voice: made.session.audio?.output?.voice,
  models,
  wrongKey: await nameOfError(() => stranger.realtime.clientSecrets.create({})),
  unknownField: await nameOfError(unknownField),
}));
