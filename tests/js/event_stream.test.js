// The stream of a page: from the last event on, closed while nobody looks, and asking instead where it is refused.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { EventStream, POLL_MS } from '../../static/voiceagent/js/event_stream.js';

let sources;
let timers;
let onVisible;
let around;

class Source extends EventTarget {
  constructor(url) {
    super();
    Object.assign(this, { url, readyState: 1 });
    sources.push(this);
  }

  close() {
    this.readyState = 2;
  }

  tell(name, data, lastEventId = '') {
    this.dispatchEvent(Object.assign(new Event(name), { data: JSON.stringify(data), lastEventId }));
  }

  fail(readyState) {
    this.readyState = readyState;
    this.dispatchEvent(new Event('error'));
  }
}

beforeEach(() => {
  sources = [];
  timers = [];
  const document = {
    hidden: false,
    addEventListener: (_, listener) => (onVisible = listener),
    removeEventListener: () => (onVisible = null),
  };
  around = {
    document,
    EventSource: Source,
    setTimeout: (run, ms) => timers.push({ run, ms }),
    clearTimeout: () => {},
  };
});

function show(hidden) {
  around.document.hidden = hidden;
  onVisible();
}

test('data of an event come to its listener', () => {
  const told = [];
  new EventStream('/stream', { call: (data) => told.push(data) }, {}, around);
  sources[0].tell('call', { id: 7 }, '12');
  assert.deepEqual(told, [{ id: 7 }]);
});

test('it begins after what the page shows', () => {
  new EventStream('/stream?words=1', {}, { last: '5' }, around);
  assert.equal(sources[0].url, '/stream?words=1&last=5');
});

test('item 90: it ends while the tab is hidden and goes on from the last event', () => {
  new EventStream('/stream', { call: () => {} }, {}, around);
  sources[0].tell('call', {}, '12');
  sources[0].tell('words', {});
  show(true);
  assert.equal(sources[0].readyState, 2);
  show(false);
  assert.deepEqual(sources.map(({ url }) => url), ['/stream', '/stream?last=12']);
});

test('in a hidden tab it does not begin', () => {
  around.document.hidden = true;
  new EventStream('/stream', {}, {}, around);
  assert.equal(sources.length, 0);
});

test('item 77: where it is refused the page asks every ten seconds and tries again', () => {
  let polls = 0;
  new EventStream('/stream', {}, { poll: () => (polls += 1) }, around);
  sources[0].fail(2);
  assert.equal(timers[0].ms, POLL_MS);
  timers[0].run();
  assert.deepEqual([polls, sources.length], [1, 2]);
});

test('one that broke off is left to the browser', () => {
  new EventStream('/stream', {}, {}, around);
  sources[0].fail(0);
  assert.equal(timers.length, 0);
});

test('whoever was signed out, or stops it, hears no more', () => {
  new EventStream('/stream', {}, {}, around);
  sources[0].tell('end', {});
  assert.deepEqual([sources[0].readyState, onVisible], [2, null]);
  const stream = new EventStream('/stream', {}, {}, around);
  stream.stop();
  assert.equal(sources[1].readyState, 2);
});
