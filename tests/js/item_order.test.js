import assert from 'node:assert/strict';
import { test } from 'node:test';

import { orderByLinks } from '../../static/realtime_ui/js/item_order.js';
import { seededRandom, shuffled } from './seeded_random.js';

const ids = (items) => orderByLinks(items).map((item) => item.id);

/** A conversation built as the server builds it: append, or insert after an item that exists. */
function conversation(length, random) {
  const order = [];
  const items = [];
  for (let index = 0; index < length; index += 1) {
    const id = `item_${index}`;
    const place = random() < 0.8 ? order.length : Math.floor(random() * (order.length + 1));
    items.push({ id, previousId: place === 0 ? null : order[place - 1] });
    order.splice(place, 0, id);
  }
  return { order, items };
}

test('insertions stand where the server put them, over 200 conversations', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const { order, items } = conversation(30, seededRandom(seed));
    assert.deepEqual(ids(items), order, `seed ${seed}`);
  }
});

test('a chain keeps its order however it arrives, over 200 shuffles', () => {
  const chain = Array.from({ length: 25 }, (_, index) => ({ id: `i${index}`, previousId: index ? `i${index - 1}` : null }));
  const order = chain.map((item) => item.id);
  for (let seed = 1; seed <= 200; seed += 1) assert.deepEqual(ids(shuffled(chain, seededRandom(seed))), order, `seed ${seed}`);
});

test('any links at all lose nobody and double nobody', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = seededRandom(seed);
    const items = Array.from({ length: 20 }, (_, index) => ({ id: `i${index}`, previousId: [null, undefined, 'gone', `i${Math.floor(random() * 20)}`][Math.floor(random() * 4)] }));
    assert.deepEqual(ids(items).sort(), items.map((item) => item.id).sort(), `seed ${seed}`);
  }
});

test('a circle of links still shows both', () => {
  assert.deepEqual(ids([{ id: 'a', previousId: 'b' }, { id: 'b', previousId: 'a' }]).sort(), ['a', 'b']);
});

test('an item whose predecessor is unknown goes to the end', () => {
  assert.deepEqual(ids([{ id: 'b', previousId: 'a?' }, { id: 'a', previousId: null }]), ['a', 'b']);
});

test('the word root means the beginning', () => {
  assert.deepEqual(ids([{ id: 'a', previousId: null }, { id: 'b', previousId: 'root' }]), ['b', 'a']);
});

test('ten thousand items are put in order without running out of stack', () => {
  const chain = Array.from({ length: 10_000 }, (_, index) => ({ id: `i${index}`, previousId: index ? `i${index - 1}` : null }));
  assert.equal(ids(chain).at(-1), 'i9999');
});
