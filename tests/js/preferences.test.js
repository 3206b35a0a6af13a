import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULTS, Preferences, STORAGE_KEY } from '../../static/realtime_ui/js/preferences.js';

/** Storage as browsers have it, with what was kept before. */
function storageWith(text) {
  const kept = new Map(text === undefined ? [] : [[STORAGE_KEY, text]]);
  return () => ({ getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) });
}

test('a choice is kept for the next page', () => {
  const storage = storageWith();
  new Preferences(storage).set('microphone', 'usb');
  assert.equal(new Preferences(storage).get('microphone'), 'usb');
});

test('a change is told once, by its name', () => {
  const preferences = new Preferences(storageWith());
  const told = [];
  preferences.addEventListener('change', (event) => told.push(event.detail));
  preferences.set('volume', 40);
  preferences.set('volume', 40);
  assert.deepEqual(told, ['volume']);
});

for (const text of ['{', '[]', 'null', '{"volume": "loud", "echoCancellation": 1, "unknown": true}']) {
  test(`what nobody can have chosen is left alone: ${text}`, () => {
    const preferences = new Preferences(storageWith(text));
    for (const name of Object.keys(DEFAULTS)) assert.equal(preferences.get(name), DEFAULTS[name]);
  });
}

test('where nothing can be kept, a choice lasts as long as the page', () => {
  const preferences = new Preferences(() => {
    throw new DOMException('', 'SecurityError');
  });
  preferences.set('pushToTalk', true);
  assert.equal(preferences.get('pushToTalk'), true);
});
