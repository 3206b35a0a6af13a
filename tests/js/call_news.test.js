import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CallNews } from '../../static/realtime_ui/js/call_news.js';

/** A stream that the test writes to. */
class Stream extends EventTarget {
  close() {
    this.isClosed = true;
  }

  tell(call) {
    const event = new Event('call');
    event.data = JSON.stringify(call);
    this.dispatchEvent(event);
  }
}

function following(callId) {
  const streams = [];
  const news = new CallNews('/stream', () => streams[streams.push(new Stream()) - 1]);
  const ends = [];
  news.addEventListener('ended', ({ detail }) => ends.push(detail));
  news.follow(callId);
  return { news, streams, ends };
}

test('the end of the call that is followed is told with its reason, and nothing else', () => {
  const { streams: [stream], ends } = following('rtc_1');
  stream.tell({ callId: 'rtc_1', state: 'live', endReason: null });
  stream.tell({ callId: 'rtc_2', state: 'ended', endReason: 'user' });
  assert.deepEqual(ends, []);
  stream.tell({ callId: 'rtc_1', state: 'ended', endReason: 'administrator' });
  assert.deepEqual(ends, ['administrator']);
});

test('one stream for a call, and none without one', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { news, streams } = following('rtc_1');
  news.follow('rtc_1');
  assert.equal(streams.length, 1);
  news.follow('');
  t.mock.timers.tick(5000);
  assert.deepEqual([streams.length, streams[0].isClosed], [1, true]);
  news.follow('');
  news.follow('rtc_2');
  assert.deepEqual([streams.length, streams[1].isClosed], [2, undefined]);
  news.follow('rtc_3');
  assert.deepEqual([streams.length, streams[1].isClosed], [3, true]);
});

test('item 55: what the administrator said is heard when the page knew of the end before', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { news, streams: [stream], ends } = following('rtc_1');
  news.follow('');
  news.follow('');
  stream.tell({ callId: 'rtc_1', state: 'live', isWatched: true });
  assert.equal(news.isWatched, false);
  stream.tell({ callId: 'rtc_1', state: 'ended', endReason: 'administrator', endDetail: 'Call again tomorrow' });
  assert.deepEqual([news.reason, ends, stream.isClosed], ['Call again tomorrow', [], true]);
});

test('item 88: the person is told while an administrator reads along', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { news, streams: [stream] } = following('rtc_1');
  let changes = 0;
  news.addEventListener('change', () => (changes += 1));
  stream.tell({ callId: 'rtc_1', state: 'live', isWatched: true });
  stream.tell({ callId: 'rtc_1', state: 'live', isWatched: true });
  assert.deepEqual([news.isWatched, changes], [true, 1]);
  stream.tell({ callId: 'rtc_2', state: 'live', isWatched: false });
  assert.equal(news.isWatched, true);
  news.follow('');
  assert.equal(news.isWatched, false);
});

test('item 55: what the administrator said when ending the call is kept until the next one', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { news, streams: [stream] } = following('rtc_1');
  stream.tell({ callId: 'rtc_1', state: 'ended', endReason: 'administrator', endDetail: 'Call again tomorrow', isWatched: true });
  news.follow('');
  assert.deepEqual([news.isWatched, news.reason], [false, 'Call again tomorrow']);
  news.follow('rtc_2');
  assert.equal(news.reason, '');
});

test('what the page itself said of its end is nobody else’s reason', () => {
  const { news, streams: [stream] } = following('rtc_1');
  stream.tell({ callId: 'rtc_1', state: 'ended', endReason: 'connection_lost', endDetail: 'ice failed' });
  assert.equal(news.reason, '');
});
