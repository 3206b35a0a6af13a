import assert from 'node:assert/strict';
import { test } from 'node:test';

/** Every request waits until the test answers it. */
const requests = [];
globalThis.fetch = (url, init) => new Promise((resolve) => requests.push({ url, init, resolve }));
const { watchAnswer } = await import('../../static/realtime_ui/js/answer_watch.js');
const asking = (secret) => fetch('https://ours/v1/realtime/calls', { headers: { Authorization: `Bearer ${secret}` } });
const answer = (index, status) => requests[index].resolve(new Response('', { status }));

test('two requests at once are told apart, whichever is answered first', async () => {
  const seen = [];
  watchAnswer('ek_1', ({ status }) => seen.push(['ek_1', status]));
  const first = asking('ek_1');
  watchAnswer('ek_2', ({ status }) => seen.push(['ek_2', status]));
  const second = asking('ek_2');
  const start = requests.length - 2;
  answer(start + 1, 201);
  answer(start, 409);
  await Promise.all([first, second]);
  assert.deepEqual(seen, [['ek_2', 201], ['ek_1', 409]]);
});

test('an answer counts although nobody waits for the request any more', async () => {
  const seen = [];
  const forget = watchAnswer('ek_3', ({ status }) => seen.push(status));
  const late = asking('ek_3');
  forget();
  answer(requests.length - 1, 201);
  await late;
  assert.deepEqual(seen, [201]);
});

test('a request that was forgotten before it was made is not watched', async () => {
  const seen = [];
  watchAnswer('ek_4', () => seen.push('ek_4'))();
  const asked = asking('ek_4');
  answer(requests.length - 1, 201);
  await asked;
  assert.deepEqual(seen, []);
});

test('other requests pass untouched', async () => {
  const plain = fetch('https://ours/api');
  answer(requests.length - 1, 418);
  assert.equal((await plain).status, 418);
});
