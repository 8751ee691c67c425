// The memory layouts of weights, element by element, there and back.

import { expect, test } from 'vitest';
import { pack, packConv, packVector, unpack } from '../../runtime/kernels/pack.js';
import type { Packing } from '../../runtime/plan.js';

test('conv weights lie as [P][H*W][I/4][O][4 of I], padded with zeros', () => {
  const [phases, outputs, inputs, taps] = [4, 3, 5, 6];
  const shape = [phases * outputs, inputs, 2, 3];
  const data = Float32Array.from({ length: phases * outputs * inputs * taps }, (_, i) => i + 1);
  const packed = packConv(data, shape, { kind: 'conv', inputs: 8, outputs: 4, phases });
  expect(packed.length).toBe(phases * taps * 8 * 4);
  let at = 0;
  for (let p = 0; p < phases; p++) {
    for (let tap = 0; tap < taps; tap++) {
      for (let group = 0; group < 2; group++) {
        for (let o = 0; o < 4; o++) {
          for (let lane = 0; lane < 4; lane++) {
            const i = group * 4 + lane;
            const real = o < outputs && i < inputs;
            const row = p * outputs + o;
            expect(packed[at++]).toBe(real ? data[(row * inputs + i) * taps + tap] : 0);
          }
        }
      }
    }
  }
});

test('vectors are padded, each phase on its own', () => {
  const data = Float32Array.from([1, 2, 3, 4, 5, 6]);
  expect([...packVector(data, { kind: 'vector', length: 8 })]).toEqual([1, 2, 3, 4, 5, 6, 0, 0]);
  expect([...packVector(data, { kind: 'vector', length: 4, phases: 2 })]).toEqual([1, 2, 3, 0, 4, 5, 6, 0]);
});

test.each<[readonly number[], Packing]>([
  [[12, 5, 2, 3], { kind: 'conv', inputs: 8, outputs: 4, phases: 4 }],
  [[5, 3, 3, 3], { kind: 'conv', inputs: 4, outputs: 8, phases: 1 }],
  [[6], { kind: 'vector', length: 4, phases: 2 }],
  [[5], { kind: 'vector', length: 8 }],
  [[], { kind: 'vector', length: 4 }],
])('[%s] comes back', (shape, packing) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i + 1);
  expect(unpack(pack(data, shape, packing), shape, packing)).toEqual(data);
});

test('weights that do not fit their packing are our bug', () => {
  const packing = { kind: 'conv', inputs: 4, outputs: 4, phases: 1 } as const;
  expect(() => packConv(new Float32Array(72), [8, 1, 3, 3], packing)).toThrow(
    'internal: conv weights of shape [8,1,3,3]',
  );
  expect(() => packVector(new Float32Array(9), { kind: 'vector', length: 8 })).toThrow(
    'internal: a vector of 9',
  );
});
