import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { listenForHold } from '../../static/realtime_ui/js/hold_button.js';

/** As much of an element as matters here. */
class FakeElement extends EventTarget {
  constructor(kind = '') {
    super();
    Object.assign(this, { kind, hidden: false, disabled: false });
  }

  matches(selector) {
    return selector.split(', ').includes(this.kind);
  }

  closest(selector) {
    return this.matches(selector) ? this : null;
  }

  setPointerCapture() {}
}

let button, page, done, isKeyAllowed;
const key = (type, target, more = {}) => {
  const event = Object.assign(new Event(type, { cancelable: true }), { code: 'Space', ctrlKey: false, metaKey: false, altKey: false, repeat: false, ...more });
  Object.defineProperty(event, 'target', { value: target });
  page.dispatchEvent(event);
  return event;
};
const pointer = (type, more = {}) => button.dispatchEvent(Object.assign(new Event(type), { button: 0, pointerId: 1, detail: 1, ...more }));

beforeEach(() => {
  page = Object.assign(new EventTarget(), { querySelector: () => null });
  const view = new EventTarget();
  Object.assign(globalThis, { HTMLElement: FakeElement, document: page, addEventListener: view.addEventListener.bind(view), view });
  button = new FakeElement('button');
  done = [];
  isKeyAllowed = true;
  listenForHold(button, { onPress: () => done.push('press'), onRelease: () => done.push('release'), isKeyAllowed: () => isKeyAllowed });
});

test('item 30: a pointer holds it', () => {
  pointer('pointerdown');
  pointer('pointerup');
  pointer('lostpointercapture');
  pointer('click');
  assert.deepEqual(done, ['press', 'release']);
});

test('item 30: another button of the mouse does not', () => {
  pointer('pointerdown', { button: 2 });
  assert.deepEqual(done, []);
});

for (const leave of [() => view.dispatchEvent(new Event('blur')), () => page.dispatchEvent(new Event('visibilitychange')), () => pointer('pointercancel')]) {
  test(`item 30: it lets go by itself: ${leave}`, () => {
    pointer('pointerdown');
    leave();
    assert.deepEqual(done, ['press', 'release']);
  });
}

test('item 63: the space bar holds it once, however often the key repeats, and scrolls nothing', () => {
  const down = key('keydown', new FakeElement('main'));
  key('keydown', new FakeElement('main'), { repeat: true });
  key('keyup', new FakeElement('main'));
  assert.deepEqual([done, down.defaultPrevented], [['press', 'release'], true]);
});

for (const kind of ['textarea', 'input', 'select', 'button', 'a', 'summary']) {
  test(`item 63: the space bar keeps its meaning in ${kind}`, () => {
    assert.equal(key('keydown', new FakeElement(kind)).defaultPrevented, false);
    assert.deepEqual(done, []);
  });
}

test('item 63: the button itself takes the space bar, though shortcuts are off', () => {
  isKeyAllowed = false;
  key('keydown', new FakeElement('main'));
  assert.deepEqual(done, []);
  key('keydown', button);
  assert.deepEqual(done, ['press']);
});

test('item 63: nothing is held behind a dialog', () => {
  page.querySelector = () => new FakeElement('dialog');
  assert.equal(key('keydown', new FakeElement('h2')).defaultPrevented, false);
  assert.deepEqual(done, []);
});

test('item 63: a hidden button takes nothing', () => {
  button.hidden = true;
  assert.equal(key('keydown', new FakeElement('main')).defaultPrevented, false);
});

test('item 63: a click without a press before holds until the next one', () => {
  pointer('click', { detail: 0 });
  pointer('click', { detail: 0 });
  assert.deepEqual(done, ['press', 'release']);
});
