// Every row of the pointwise table on the device against its f64 reference, and the literals it is written with.

import { describe, expect, test } from 'vitest';
import type { PointwiseStep } from '../../runtime/kernels/kernel.js';
import { map } from '../../runtime/kernels/map.js';
import { applySteps, POINTWISE } from '../../runtime/kernels/pointwise.js';
import { literal } from '../../runtime/kernels/text.js';
import { device, dtypes, type Storage } from '../device.js';
import { expectKernel, field, noisy, slab, stepped, view } from './tensors.js';

const DIMS = [1, 4, 16] as const;
/** Values where careless formulas overflow or lose a sign. */
const EDGES = [0, 1, -1, 20, -20, 80, -80, 1e-4, -1e-4];

function input(op: string, slot: number, seed: number, dtype: Storage['dtype']): Storage {
  const storage = slab(view(slot, DIMS, 4, { dtype }), seed);
  const data = storage.data.map((v, i) => EDGES[i] ?? v * 3);
  // Half and single precision agree on multiples of 1/64; exp of 80 is beyond any relative comparison with f16.
  const plain = data.map((v) => Math.round(Math.max(-8, Math.min(8, v)) * 64) / 64);
  const kept = dtype === 'f16' || op === 'exp' ? plain : data;
  return { dtype, data: POINTWISE[op]!.positive ? kept.map((v) => Math.abs(v) + 0.25) : kept };
}

describe.skipIf(!device)('pointwise rows', () => {
  test.each(Object.keys(POINTWISE))('%s', async (op) => {
    const row = POINTWISE[op]!;
    const attr = row.attr ? { attr: -0.3 } : {};
    for (const dtype of dtypes) {
      const x = view(0, DIMS, 4, { dtype });
      const y = view(1, DIMS, 4, { dtype });
      const other = view(2, DIMS, 4, { dtype });
      const slots = [input(op, 0, 1, dtype), slab(y, 2)];
      const operands = row.arity === 1 ? [undefined] : [{ tensor: other }, { vector: { slot: 2, dtype } }];
      for (const operand of operands) {
        const second =
          operand && 'vector' in operand
            ? { dtype, data: noisy(4, 9).map((v) => Math.round(v * 64) / 64 + 2) }
            : undefined;
        const all = operand ? [...slots, second ?? input(op, 2, 3, dtype)] : slots;
        for (const swapped of operand ? [false, true] : [false]) {
          const step: PointwiseStep = { op, ...attr, ...(operand && { operand, swapped }) };
          const expected = stepped([step], all, field(x, all[0]!));
          await expectKernel(map({ x, y, steps: [step] }), all, y, expected, 2e-5);
        }
      }
    }
  });
});

test('rows refuse steps that do not fit them', () => {
  const at = (step: PointwiseStep) => () => applySteps([step], () => 'x');
  expect(at({ op: 'nope' })).toThrow('internal: no pointwise row "nope"');
  expect(at({ op: 'add' })).toThrow('internal: add takes 2 operands');
  expect(at({ op: 'lrelu' })).toThrow('internal: lrelu takes slope');
  expect(at({ op: 'relu', attr: 1 })).toThrow('internal: relu takes no constant');
});

test('literals are WGSL floats', () => {
  expect([0.2, 1, -3, 1e-7].map(literal)).toEqual(['0.2f', '1f', '(-3f)', '1e-7f']);
  expect(() => literal(1e39)).toThrow('internal: 1e+39 is not an f32 constant');
});
