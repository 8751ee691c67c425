// Checkpoints: what is read back is what was written, bit for bit, or nothing.

import { expect, test } from 'vitest';
import { readSafetensors } from '../../formats/safetensors.js';
import {
  checkSettings,
  decodeCheckpoint,
  encodeCheckpoint,
  generatorWeights,
} from '../../train/checkpoint.js';
import { settingsOf, stageNamed } from '../../train/stages.js';
import type { TrainingState } from '../../train/state.js';
import { tinyProgram } from './tiny.js';

/** Values that arithmetic would not leave alone: -0, a subnormal, infinities, a NaN with a payload. */
const BITS = Uint32Array.of(0x80000000, 1, 0x7f800000, 0xff800000, 0x7fc01234, 0x3f800001);
const ODD = new Float32Array(BITS.buffer);

const STATE: TrainingState = {
  stage: 'gan',
  step: 123_456,
  values: new Map([
    ['net.conv.weight', ODD],
    ['net.norm.running_mean', Float32Array.of(7)],
    ['critic.conv.weight', Float32Array.of(1, 2)],
    ['critic.empty', new Float32Array(0)],
  ]),
  moment1: new Map([['net.conv.weight', ODD.map((value) => -value)]]),
  moment2: new Map([['net.conv.weight', Float32Array.of(1e-38, 2, 3, 4, 5, 6)]]),
  average: new Map([['net.conv.weight', Float32Array.of(1, 2, 3, 4, 5, 6)]]),
  lossScale: { scale: 2 ** 16, since: 1999 },
};
const SETTINGS = { 'the .sr file': 'ab12', batch: '16', 'a "quoted" näme': 'x' };
const BYTES = await encodeCheckpoint({ state: STATE, settings: SETTINGS });

const bitsOf = (tensors: TrainingState['values'] | undefined) =>
  [...(tensors ?? [])].map(([name, data]) => [
    name,
    new Uint32Array(data.buffer, data.byteOffset, data.length),
  ]);

test('a state and its settings come back bit for bit', async () => {
  const { state, settings } = (await decodeCheckpoint('x', BYTES))!;
  for (const kind of ['values', 'moment1', 'moment2', 'average'] as const) {
    expect(bitsOf(state[kind])).toEqual(bitsOf(STATE[kind]));
  }
  expect(new Uint32Array(state.values.get('net.conv.weight')!.buffer)).toEqual(BITS);
  expect({ ...state, values: 0, moment1: 0, moment2: 0, average: 0 }).toEqual({
    ...STATE,
    values: 0,
    moment1: 0,
    moment2: 0,
    average: 0,
  });
  expect(settings).toEqual(SETTINGS);
});

test('without an average and a loss scale, there is none afterwards', async () => {
  const { average, lossScale, ...state } = STATE;
  const read = await decodeCheckpoint('x', await encodeCheckpoint({ state, settings: {} }));
  expect(read).toEqual({ state, settings: {} });
  expect(read!.state).not.toHaveProperty('average');
  expect(read!.state).not.toHaveProperty('lossScale');
});

test('the same state gives the same bytes, and any tool can read them', async () => {
  expect(await encodeCheckpoint({ state: STATE, settings: SETTINGS })).toEqual(BYTES);
  const { tensors, metadata } = readSafetensors('x', BYTES);
  expect([...tensors.keys()]).toContain('moment2/net.conv.weight');
  expect(metadata).toMatchObject({ stage: 'gan', step: '123456' });
});

test('any bit that is not as it was written is noticed', async () => {
  for (let at = 0; at < BYTES.length; at++) {
    const damaged = BYTES.slice();
    damaged[at]! ^= 1 << (at % 8);
    expect(await decodeCheckpoint('x', damaged), `byte ${at}`).toBeUndefined();
  }
});

test('so is a file that was cut off, or goes on', async () => {
  for (const length of [0, 7, 8, 30, 34, 98, 99, 500, BYTES.length - 1]) {
    expect(await decodeCheckpoint('x', BYTES.slice(0, length)), `${length} bytes`).toBeUndefined();
  }
  expect(await decodeCheckpoint('x', Uint8Array.of(...BYTES, 0))).toBeUndefined();
});

test('settings that are no longer the same are told, with both values', () => {
  checkSettings('x', SETTINGS, { ...SETTINGS });
  expect(() => checkSettings('c.safetensors', SETTINGS, { ...SETTINGS, batch: '8', ema: '0.999' })).toThrow(
    'c.safetensors: training cannot go on, because other things are trained now: batch, ema',
  );
  try {
    checkSettings('c', SETTINGS, { ...SETTINGS, batch: '8' });
    expect.unreachable();
  } catch (error) {
    expect(error).toHaveProperty('diagnostics.0.notes', ['batch: 16 then, 8 now']);
    expect(error).toHaveProperty(
      'diagnostics.0.help',
      'change them back, or train in a new folder; `--init c` starts there from these weights',
    );
  }
});

test('of records the fields that changed are told, and of hashes only that they did', () => {
  const saved = { optimizer: '{"kind":"adam","lr":0.001,"eps":1e-8}', loss: '019d59d81a22', ema: 'none' };
  const now = { optimizer: '{"kind":"adam","lr":0.0001,"eps":1e-8}', loss: 'ea7be79fb9d4', ema: '0.999' };
  try {
    checkSettings('c', saved, now);
    expect.unreachable();
  } catch (error) {
    const notes = ['optimizer: lr 0.001 then, 0.0001 now', 'loss: not the same', 'ema: none then, 0.999 now'];
    expect(error).toHaveProperty('diagnostics.0.notes', notes);
  }
});

test('settings tell other weights of perception networks', async () => {
  const program = tinyProgram();
  const settings = async (value: number) => {
    const perception = new Map([['vgg.conv.weight', Float32Array.of(1, value)]]);
    return settingsOf(program, stageNamed(program, 'psnr'), 'f32', perception);
  };
  expect(await settings(2)).toEqual(await settings(2));
  const [a, b] = [await settings(2), await settings(3)];
  expect(Object.keys(a).filter((name) => a[name] !== b[name])).toEqual(['perception']);
});

test('the generator is taken from the average, its running statistics from the values', () => {
  const parameters = [
    { name: 'conv.weight', shape: [1, 6] },
    { name: 'norm.running_mean', shape: [1] },
  ];
  const weights = generatorWeights(STATE, 'net', parameters);
  expect([...weights]).toEqual([
    ['conv.weight', { shape: [1, 6], data: Float32Array.of(1, 2, 3, 4, 5, 6), dtype: 'f32' }],
    ['norm.running_mean', { shape: [1], data: Float32Array.of(7), dtype: 'f32' }],
  ]);
  const { average, ...plain } = STATE;
  expect(generatorWeights(plain, 'net', parameters).get('conv.weight')!.data).toBe(ODD);
});
