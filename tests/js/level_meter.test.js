import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { LevelMeter } from '../../static/realtime_ui/js/level_meter.js';

let context;
beforeEach(() => {
  globalThis.AudioContext = class extends EventTarget {
    state = 'running';
    resumed = 0;

    constructor() {
      super();
      context = this;
    }

    resume() {
      this.resumed += 1;
    }
  };
});

for (const [state, resumed] of [['suspended', 1], ['interrupted', 0], ['running', 0]]) {
  test(`item 69: a context that is ${state} is ${resumed ? '' : 'not '}resumed`, () => {
    new LevelMeter();
    context.state = state;
    context.dispatchEvent(new Event('statechange'));
    assert.equal(context.resumed, resumed);
  });
}
