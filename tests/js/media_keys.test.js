import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { MediaKeys } from '../../static/realtime_ui/js/media_keys.js';

let handlers, done, session, keys;
beforeEach(() => {
  globalThis.MediaMetadata = class {
    constructor({ title }) {
      this.title = title;
    }
  };
  handlers = {};
  done = [];
  session = {
    playbackState: 'none',
    metadata: null,
    setActionHandler: (action, handle) => {
      if (action === 'hangup') throw new TypeError('unknown');
      handlers[action] = handle;
    },
  };
  keys = new MediaKeys({ onMute: (muted) => done.push(muted), onEnd: () => done.push('end') }, session);
});

test('item 71: pause mutes, play unmutes, stop ends', () => {
  keys.show({ agent: 'Guide', muted: false });
  for (const action of ['pause', 'play', 'togglemicrophone', 'stop']) handlers[action]();
  assert.deepEqual(done, [true, false, true, 'end']);
  assert.deepEqual([session.playbackState, session.metadata.title], ['playing', 'Guide']);
});

test('item 71: the system sees a muted call as paused', () => {
  keys.show({ agent: 'Guide', muted: true });
  assert.equal(session.playbackState, 'paused');
  handlers.togglemicrophone();
  assert.deepEqual(done, [false]);
});

test('item 71: without a call the keys are the system’s again', () => {
  keys.show({ agent: 'Guide', muted: false });
  keys.show(null);
  assert.deepEqual([handlers.play, session.playbackState, session.metadata], [null, 'none', null]);
});

test('item 71: a browser without media keys goes on', () => {
  new MediaKeys({ onMute: assert.fail, onEnd: assert.fail }, null).show({ agent: 'Guide', muted: false });
});
