import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Devices } from '../../static/realtime_ui/js/devices.js';
import { Microphone, openMicrophone } from '../../static/realtime_ui/js/microphone.js';
import { MicrophoneError } from '../../static/realtime_ui/js/microphone_errors.js';
import { Preferences } from '../../static/realtime_ui/js/preferences.js';

/** A machine whose devices can be plugged in and pulled out; it opens what is there. */
class Machine extends EventTarget {
  plugged = ['desk', 'headset'];
  asked = [];

  async enumerateDevices() {
    const inputs = ['default', ...this.plugged].map((id) => ({ kind: 'audioinput', deviceId: id, label: `The ${id}` }));
    return [...inputs, { kind: 'audiooutput', deviceId: 'box', label: 'The box' }];
  }

  async getUserMedia({ audio }) {
    this.asked.push(audio);
    await this.door;
    const wished = audio.deviceId?.exact;
    if (!this.plugged.length) throw Object.assign(new Error(''), { name: 'NotFoundError' });
    if (wished && !this.plugged.includes(wished)) throw Object.assign(new Error(''), { name: 'OverconstrainedError' });
    return streamOf(wished ?? this.plugged[0]);
  }
}

function streamOf(id) {
  const track = Object.assign(new EventTarget(), { label: `The ${id}`, enabled: true, stopped: false, getSettings: () => ({ deviceId: id }) });
  track.stop = () => (track.stopped = true);
  return { id, getTracks: () => [track], getAudioTracks: () => [track] };
}

const settle = () => new Promise((resolve) => setTimeout(resolve));

let machine, preferences, devices, told;
beforeEach(async () => {
  machine = new Machine();
  Object.assign(globalThis, { isSecureContext: true });
  Object.defineProperty(globalThis, 'navigator', { value: { mediaDevices: machine }, configurable: true });
  preferences = new Preferences(() => ({ getItem: () => null, setItem: () => {} }));
  devices = new Devices(preferences, { media: machine });
  told = [];
  devices.addEventListener('note', (event) => told.push(event.detail.key));
  devices.addEventListener('microphone', (event) => told.push(event.detail.id));
  await settle();
});

/** Pull a device out while it is in use. */
async function pull(microphone, id) {
  machine.plugged = machine.plugged.filter((other) => other !== id);
  microphone.track.dispatchEvent(new Event('ended'));
  machine.dispatchEvent(new Event('devicechange'));
  await settle();
}

test('item 22: the picker lists the devices themselves and marks the one in use', async () => {
  await devices.open();
  await settle();
  const listed = devices.microphones.map(({ id, isInUse }) => [id, isInUse]);
  assert.deepEqual(listed, [['desk', true], ['headset', false]]);
});

test('item 22: the microphone that was chosen before is asked for', async () => {
  preferences.set('microphone', 'headset');
  assert.equal((await devices.open()).stream.id, 'headset');
});

test('item 22: one that has gone leaves it to the system, and stays chosen for when it is back', async () => {
  preferences.set('microphone', 'gone');
  preferences.set('echoCancellation', false);
  assert.equal((await devices.open()).stream.id, 'desk');
  assert.equal(machine.asked.at(-1).echoCancellation, false);
  assert.equal(preferences.get('microphone'), 'gone');
});

test('item 22: another choice takes over and gives the first microphone back', async () => {
  const microphone = await devices.open();
  const first = microphone.track;
  preferences.set('microphone', 'headset');
  await settle();
  assert.deepEqual([told, first.stopped, microphone.track.stopped], [['headset'], true, false]);
});

test('item 22: of two choices in a row the last holds, and the other is given back', async () => {
  const microphone = await devices.open();
  let open;
  machine.door = new Promise((resolve) => (open = resolve));
  preferences.set('microphone', 'headset');
  machine.plugged.push('third');
  preferences.set('microphone', 'third');
  open();
  await settle();
  assert.deepEqual([told, microphone.stream.id], [['third'], 'third']);
});

test('item 22: a microphone that cannot be opened changes nothing', async () => {
  const microphone = await devices.open();
  machine.getUserMedia = () => Promise.reject(Object.assign(new Error(''), { name: 'NotReadableError' }));
  preferences.set('microphone', 'headset');
  await settle();
  assert.deepEqual([told, microphone.stream.id, microphone.track.stopped], [['microphone_not_changed'], 'desk', false]);
});

test('item 22: after the call nothing is opened', async () => {
  (await devices.open()).free();
  preferences.set('microphone', 'headset');
  await settle();
  assert.equal(machine.asked.length, 1);
});

test('item 22: what is opened too late is given back at once', async () => {
  const microphone = await openMicrophone({ deviceId: '' });
  const late = microphone.change({ deviceId: 'headset' });
  microphone.free();
  assert.equal(await late, false);
  assert.equal(microphone.stream.id, 'desk');
});

test('item 25: when the device goes away another one is used, which is told once', async () => {
  const microphone = await devices.open();
  microphone.onLost = () => told.push('lost');
  await pull(microphone, 'desk');
  assert.deepEqual(told, ['headset', 'microphone_replaced']);
});

test('item 25: without another one the call is told, and the next one plugged in is used', async () => {
  const microphone = await devices.open();
  microphone.onLost = () => told.push('lost');
  machine.plugged = ['desk'];
  await pull(microphone, 'desk');
  assert.ok(told.includes('lost'));
  machine.plugged = ['new'];
  machine.dispatchEvent(new Event('devicechange'));
  await settle();
  assert.deepEqual(told.slice(-2), ['new', 'microphone_replaced']);
});

test('item 25: a microphone that we stop ourselves is not lost', async () => {
  const microphone = new Microphone(streamOf('desk'));
  microphone.onEnded = () => assert.fail('not lost');
  const { track } = microphone;
  await microphone.change({ deviceId: 'headset' });
  track.dispatchEvent(new Event('ended'));
});

test('item 26: what is switched off is not asked for', async () => {
  preferences.set('noiseSuppression', false);
  await devices.open();
  assert.deepEqual(machine.asked, [{ echoCancellation: true, noiseSuppression: false, autoGainControl: true }]);
});

test('item 18: no microphone at all is an error, whatever was chosen', async () => {
  machine.plugged = [];
  preferences.set('microphone', 'headset');
  await assert.rejects(devices.open(), (error) => error instanceof MicrophoneError && error.problem === 'missing');
});

test('item 17: an address that is not safe is told before anything is asked', async () => {
  globalThis.isSecureContext = false;
  await assert.rejects(devices.open(), (error) => error.problem === 'insecure');
  assert.deepEqual(machine.asked, []);
});

test('item 17: a browser without microphones is told', async () => {
  Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  await assert.rejects(openMicrophone({ deviceId: '' }), (error) => error.problem === 'unsupported');
});
