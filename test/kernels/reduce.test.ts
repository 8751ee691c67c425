// Two-stage sums and their adjoint against plain sums.

import { describe, expect, test } from 'vitest';
import { expand, type Keep, sumColumns, sumRows } from '../../runtime/kernels/reduce.js';
import { device, dtypes, launch } from '../device.js';
import { expectKernel, type Field, field, slab, view } from './tensors.js';

const KEEPS: readonly Keep[] = ['channel', 'none'];
type Size = readonly [number, number, number];

/** Sums `f` over the positions of `size`. */
function total([n, h, w]: Size, f: (n: number, y: number, x: number) => number): number {
  let sum = 0;
  for (let b = 0; b < n; b++) for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) sum += f(b, y, x);
  return sum;
}

describe.skipIf(!device)('reduce', () => {
  test.each(dtypes)('sumColumns (%s)', async (dtype) => {
    for (const size of [
      [1, 1, 1],
      [2, 3, 5],
      [1, 5, 33],
    ] as const) {
      const x = view(0, size, 5, { dtype, offset: 4 });
      const y = view(1, [size[0], size[1], 1], 5);
      const slots = [slab(x, 1), slab(y, 2)];
      const from = field(x, slots[0]!);
      const expected: Field = (n, r, _, c) => total([1, 1, size[2]], (_n, _y, s) => from(n, r, s, c));
      await expectKernel(sumColumns({ x, y }), slots, y, expected);
    }
  });

  test('a prologue of more numbers than a uniform block has room for', async () => {
    const x = view(0, [2, 3, 5], 5);
    const y = view(1, [2, 3, 1], 5);
    const slots = [slab(x, 1), slab(y, 2)];
    const from = field(x, slots[0]!);
    const prologue = Array.from({ length: 70 }, (_, k) => ({ op: 'offset', attr: k / 64 - 0.5 }));
    const offset = prologue.reduce((sum, { attr }) => sum + attr, 0);
    const expected: Field = (n, r, _, c) => total([1, 1, 5], (_n, _y, s) => from(n, r, s, c) + offset);
    const call = sumColumns({ x, y, prologue });
    expect(call.uniforms).toHaveLength(64);
    await expectKernel(call, slots, y, expected);
  });

  test.each(KEEPS.flatMap((keep) => [5, 32].map((channels) => ({ keep, channels }))))(
    'sumRows, keep $keep of $channels channels',
    async ({ keep, channels }) => {
      for (const [n, h] of [
        [1, 1],
        [2, 3],
        [2, 67],
        [3, 301],
      ] as const) {
        const x = view(0, [n, h, 1], channels);
        const y = view(1, [1, 1, 1], keep === 'none' ? 1 : channels);
        const slots = [slab(x, 1), slab(y, 2)];
        const from = field(x, slots[0]!);
        const channel = (c: number) => total([n, h, 1], (b, r) => from(b, r, 0, c));
        const all = Array.from({ length: channels }, (_, c) => channel(c)).reduce((a, b) => a + b);
        const sum: Field = (_n, _y, _x, c) => (keep === 'none' ? all : channel(c));
        await expectKernel(sumRows({ x, y, keep }), slots, y, sum);
        const count = n * h * 9 * (keep === 'none' ? channels : 1);
        const mean: Field = (...at) => sum(...at) / count;
        await expectKernel(sumRows({ x, y, keep, divisor: count, lanes: 256 }), slots, y, mean);
      }
    },
  );

  test.each(KEEPS)('expand, keep %s', async (keep) => {
    const x = view(0, [1, 1, 1], keep === 'none' ? 1 : 5);
    const y = view(1, [2, 3, 5], 5, { offset: 4 });
    const slots = [slab(x, 1), slab(y, 2)];
    const from = field(x, slots[0]!);
    const spread: Field = (_n, _y, _x, c) => from(0, 0, 0, keep === 'none' ? 0 : c);
    await expectKernel(expand({ x, y, keep }), slots, y, spread);
    const count = 30 * (keep === 'none' ? 5 : 1);
    await expectKernel(expand({ x, y, keep, divisor: count }), slots, y, (...at) => spread(...at) / count);
  });

  test.each([
    [16, 96, 96],
    [1, 2, 60_000],
  ])('the mean of %i x %i x %i values is that of f64', async (n, h, w) => {
    for (const dtype of dtypes) {
      const x = view(0, [n, h, w], 1, { dtype });
      const sums = view(1, [n, h, 1], 1);
      const mean = view(1, [1, 1, 1], 1);
      // Of one sign, so that sums grow; f16 rounds the input, not the sum.
      const slots = [slab(x, 1), slab(sums, 2)];
      slots[0]!.data.set(slots[0]!.data.map((v) => Math.abs(v)));
      const rows = (await launch(sumColumns({ x, y: sums }), slots, {}))[1]!;
      const call = sumRows({ x: { ...sums, slot: 0 }, y: mean, keep: 'none', divisor: n * h * w });
      const [, [result]] = (await launch(call, [{ dtype: 'f32', data: rows }, slab(mean, 3)], {})) as [
        Float32Array,
        Float32Array,
      ];
      const exact = slots[0]!.data.reduce((a, b) => a + b, 0) / (n * h * w);
      expect(Math.abs(result! / exact - 1)).toBeLessThan(1e-6);
    }
  });

  test('the same data gives the same bits', async () => {
    const x = view(0, [2, 67, 1], 32);
    const y = view(1, [1, 1, 1], 1);
    const slots = [slab(x, 1), slab(y, 2)];
    const call = sumRows({ x, y, keep: 'none' });
    const [first, second] = [await launch(call, slots, {}), await launch(call, slots, {})];
    expect(first[1]).toEqual(second[1]);
  });
});
