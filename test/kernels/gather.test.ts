// The kernels that move and resample, and the pointwise map, against their formulas.

import { describe, expect, test } from 'vitest';
import {
  avgPool,
  copy,
  forwardDifference,
  maxPool,
  pixelShuffle,
  pixelUnshuffle,
  upsampleBilinear,
  upsampleNearest,
} from '../../runtime/kernels/gather.js';
import {
  avgPoolAdjoint,
  forwardDifferenceAdjoint,
  maxPoolAdjoint,
  padChannels,
  upsampleBilinearAdjoint,
  upsampleNearestAdjoint,
} from '../../runtime/kernels/gather_adjoint.js';
import type { KernelCall, View } from '../../runtime/kernels/kernel.js';
import { map } from '../../runtime/kernels/map.js';
import { copyWindow, WINDOW_SYMBOLS } from '../../runtime/kernels/window.js';
import { device, dtypes, launch } from '../device.js';
import { expectKernel, type Field, field, slab, stepped, view } from './tensors.js';

type Size = readonly [n: number, h: number, w: number];
const SIZES: readonly Size[] = [
  [1, 1, 1],
  [1, 1, 7],
  [2, 3, 5],
  [1, 33, 17],
];

interface Row {
  readonly name: string;
  kernel(x: View, y: View): KernelCall;
  /** Takes the gradient of the result, of a linear row. */
  readonly adjoint?: (x: View, y: View) => KernelCall;
  /** Size of the result; undefined where the input is too small. */
  out(size: Size): Size | undefined;
  channels(c: number): number;
  /** Where the result is for `channels(c)` inputs. */
  reference(x: Field, y: Size, channels: number): Field;
}

const same = (c: number): number => c;
const pooled =
  (size: number, stride: number) =>
  ([n, h, w]: Size): Size | undefined =>
    Math.min(h, w) < size
      ? undefined
      : [n, Math.floor((h - size) / stride) + 1, Math.floor((w - size) / stride) + 1];
const window = (
  x: Field,
  size: number,
  stride: number,
  n: number,
  r: number,
  s: number,
  c: number,
): number[] =>
  Array.from({ length: size * size }, (_, k) =>
    x(n, r * stride + Math.floor(k / size), s * stride + (k % size), c),
  );
const scaled =
  (factor: number) =>
  ([n, h, w]: Size): Size => [n, h * factor, w * factor];

/** One axis of align_corners=false interpolation in floating point, as the textbooks have it. */
function bilinear(out: number, factor: number, size: number): [low: number, high: number, t: number] {
  const at = Math.max(0, (out + 0.5) / factor - 0.5);
  const low = Math.floor(at);
  return [low, Math.min(low + 1, size - 1), at - low];
}

const rows: readonly Row[] = [
  {
    name: 'upsampleNearest 3',
    kernel: (x, y) => upsampleNearest({ x, y, factor: 3 }),
    adjoint: (x, y) => upsampleNearestAdjoint({ x, y, factor: 3 }),
    out: scaled(3),
    channels: same,
    reference: (x) => (n, r, s, c) => x(n, Math.floor(r / 3), Math.floor(s / 3), c),
  },
  ...[2, 3].map((factor) => ({
    name: `upsampleBilinear ${factor}`,
    kernel: (x: View, y: View) => upsampleBilinear({ x, y, factor }),
    adjoint: (x: View, y: View) => upsampleBilinearAdjoint({ x, y, factor }),
    out: scaled(factor),
    channels: same,
    reference:
      (x: Field, [, h, w]: Size): Field =>
      (n, r, s, c) => {
        const [y0, y1, ty] = bilinear(r, factor, h / factor);
        const [x0, x1, tx] = bilinear(s, factor, w / factor);
        const along = (row: number) => x(n, row, x0, c) * (1 - tx) + x(n, row, x1, c) * tx;
        return along(y0) * (1 - ty) + along(y1) * ty;
      },
  })),
  {
    name: 'maxPool 2 stride 2',
    kernel: (x, y) => maxPool({ x, y, size: 2, stride: 2 }),
    out: pooled(2, 2),
    channels: same,
    reference: (x) => (n, r, s, c) => Math.max(...window(x, 2, 2, n, r, s, c)),
  },
  ...[
    [3, 1],
    [2, 3],
  ].map(([size, stride]: number[]) => ({
    name: `avgPool ${size} stride ${stride}`,
    kernel: (x: View, y: View) => avgPool({ x, y, size: size!, stride: stride! }),
    adjoint: (x: View, y: View) => avgPoolAdjoint({ x, y, size: size!, stride: stride! }),
    out: pooled(size!, stride!),
    channels: same,
    reference:
      (x: Field): Field =>
      (n, r, s, c) =>
        window(x, size!, stride!, n, r, s, c).reduce((a, b) => a + b) / size! ** 2,
  })),
  {
    name: 'forwardDifference h',
    kernel: (x, y) => forwardDifference({ x, y, axis: 'h' }),
    adjoint: (x, y) => forwardDifferenceAdjoint({ x, y, axis: 'h' }),
    out: ([n, h, w]) => (h > 1 ? [n, h - 1, w] : undefined),
    channels: same,
    reference: (x) => (n, r, s, c) => x(n, r + 1, s, c) - x(n, r, s, c),
  },
  {
    name: 'forwardDifference w',
    kernel: (x, y) => forwardDifference({ x, y, axis: 'w' }),
    adjoint: (x, y) => forwardDifferenceAdjoint({ x, y, axis: 'w' }),
    out: ([n, h, w]) => (w > 1 ? [n, h, w - 1] : undefined),
    channels: same,
    reference: (x) => (n, r, s, c) => x(n, r, s + 1, c) - x(n, r, s, c),
  },
  ...[2, 3].map((r) => ({
    name: `pixelUnshuffle ${r}`,
    kernel: (x: View, y: View) => pixelUnshuffle({ x, y, factor: r }),
    out: ([n, h, w]: Size): Size | undefined =>
      h >= r && w >= r ? [n, Math.floor(h / r), Math.floor(w / r)] : undefined,
    channels: (c: number) => c * r * r,
    reference:
      (x: Field): Field =>
      (n, row, column, c) =>
        x(n, row * r + (Math.floor(c / r) % r), column * r + (c % r), Math.floor(c / (r * r))),
  })),
];

async function check(row: Row, size: Size, channels: number, dtype: View['dtype'] = 'f32'): Promise<void> {
  const out = row.out(size);
  if (!out) return;
  const x = view(0, size, channels, { dtype, offset: 4 });
  const y = view(1, out, row.channels(channels), { dtype, offset: 8 });
  const slots = [slab(x, 1), slab(y, 2)];
  await expectKernel(row.kernel(x, y), slots, y, row.reference(field(x, slots[0]!), out, channels));
}

/** The adjoint of a linear row: what each input pixel gives to each output, found by trying. */
function adjointOf(row: Row, size: Size, out: Size, dy: Field): Field {
  const [, h, w] = size;
  return (n, r, s, c) => {
    const one: Field = (_n, y, x) => (y === r && x === s && y < h && x < w ? 1 : 0);
    const weight = row.reference(one, out, 1);
    let sum = 0;
    for (let y = 0; y < out[1]; y++)
      for (let x = 0; x < out[2]; x++) sum += weight(0, y, x, 0) * dy(n, y, x, c);
    return sum;
  };
}

describe.skipIf(!device)('gather', () => {
  test.each(rows)('$name', async (row) => {
    for (const size of SIZES) await check(row, size, 5);
    for (const channels of [1, 3, 32, 33]) await check(row, [2, 6, 6], channels);
    for (const dtype of dtypes) await check(row, [2, 6, 6], 5, dtype);
  });

  test.each(rows.filter(({ adjoint }) => adjoint))('$name, its adjoint', async (row) => {
    const cases = SIZES.map((size) => ({ size, channels: 5, dtype: 'f32' as View['dtype'] }));
    for (const dtype of dtypes) cases.push({ size: [2, 6, 7], channels: 3, dtype });
    for (const { size, channels, dtype } of cases) {
      const out = row.out(size);
      if (!out) continue;
      const dy = view(0, out, channels, { dtype, offset: 4 });
      const dx = view(1, size, channels, { dtype, offset: 8 });
      const slots = [slab(dy, 1), slab(dx, 2)];
      await expectKernel(row.adjoint!(dy, dx), slots, dx, adjointOf(row, size, out, field(dy, slots[0]!)));
    }
  });

  test.each([
    [3, 2],
    [2, 3],
  ])('maxPool %i stride %i, its adjoint, with equal values', async (size, stride) => {
    for (const dtype of dtypes) {
      const x = view(0, [2, 7, 6], 5, { dtype, offset: 4 });
      const out = pooled(size, stride)(x.dims)!;
      const dy = view(1, out, 5, { dtype });
      const dx = view(2, x.dims, 5, { dtype, offset: 8 });
      const slots = [slab(x, 1), slab(dy, 2), slab(dx, 3)];
      slots[0]!.data.set(slots[0]!.data.map((v) => Math.round(v * 2))); // few values: many equal ones
      const [from, d] = [field(x, slots[0]!), field(dy, slots[1]!)];
      await expectKernel(maxPoolAdjoint({ x, dy, y: dx, size, stride }), slots, dx, (n, r, s, c) => {
        let sum = 0;
        for (let i = 0; i < out[1]; i++) {
          for (let j = 0; j < out[2]; j++) {
            const values = window(from, size, stride, n, i, j, c);
            const winner = values.indexOf(Math.max(...values));
            const [y, z] = [i * stride + Math.floor(winner / size), j * stride + (winner % size)];
            if (y === r && z === s) sum += d(n, i, j, c);
          }
        }
        return sum;
      });
    }
  });

  test.each([
    [0, 3],
    [4, 0],
    [1, 2],
    [5, 4],
  ])('padChannels, %i before and %i after', async (before, after) => {
    for (const dtype of dtypes) {
      const x = view(0, [2, 3, 5], 5, { dtype, offset: 4 });
      const y = view(1, [2, 3, 5], before + 5 + after, { dtype, offset: 8 });
      const slots = [slab(x, 1), slab(y, 2)];
      const from = field(x, slots[0]!);
      await expectKernel(padChannels({ x, y, before }), slots, y, (n, r, s, c) =>
        c >= before && c < before + 5 ? from(n, r, s, c - before) : 0,
      );
    }
  });

  test.each([
    [2, 1],
    [2, 8],
    [3, 5],
  ])('pixelShuffle %i to %i channels', async (r, channels) => {
    for (const [n, h, w] of SIZES) {
      const x = view(0, [n, h, w], channels * r * r, { offset: 4 });
      const y = view(1, [n, h * r, w * r], channels, { offset: 8 });
      const slots = [slab(x, 1), slab(y, 2)];
      const from = field(x, slots[0]!);
      await expectKernel(pixelShuffle({ x, y, factor: r }), slots, y, (b, row, column, c) =>
        from(b, Math.floor(row / r), Math.floor(column / r), c * r * r + (row % r) * r + (column % r)),
      );
    }
  });

  test.each([
    [0, 4],
    [4, 0],
    [3, 0],
    [0, 3],
    [5, 6],
  ])('copy from channel %i to channel %i', async (from, to) => {
    for (const channels of [1, 5, 8]) {
      const x = view(0, [2, 3, 5], channels, { offset: from, stride: 16 });
      const y = view(1, [2, 3, 5], channels, { offset: to, stride: 16 });
      const slots = [slab(view(0, x.dims, 16), 1), slab(y, 2, [])];
      await expectKernel(copy({ x, y }), slots, y, field(x, slots[0]!));
    }
  });

  test('a copy within one buffer', async () => {
    const x = view(0, [2, 3, 5], 8, { stride: 24 });
    const y = { ...x, offset: 12 };
    const slots = [slab(x, 1)];
    await expectKernel(copy({ x, y }), slots, y, field(x, slots[0]!));
  });

  test.each([3, 1023])('pixels of %i groups are told apart in the widest row', async (groups) => {
    const size = [1, 1, Math.floor((65535 * 64) / groups)] as const;
    const x = view(0, size, groups - 1, { offset: 1 });
    const y = { ...x, slot: 1 };
    const slots = [slab(view(0, size, x.stride), 1), slab(y, 2, [])];
    await expectKernel(copy({ x, y }), slots, y, field(x, slots[0]!));
  });

  test('widths, places and constants are no matter of the text', async () => {
    const calls = [];
    for (const [channels, offset, by] of [
      [8, 0, 0.5],
      [20, 12, -3],
    ] as const) {
      const x = view(0, [2, 3, 5], channels, { offset });
      const y = view(1, x.dims, channels, { stride: 40 });
      const other = view(2, x.dims, channels, { offset: 4 });
      const slots = [slab(x, 1), slab(y, 2), slab(other, 3)];
      const steps = [
        { op: 'scale', attr: by },
        { op: 'add', operand: { tensor: other } },
      ];
      const call = map({ x, y, steps });
      await expectKernel(call, slots, y, stepped(steps, slots, field(x, slots[0]!)));
      calls.push(call);
    }
    expect(calls[1]!.wgsl).toBe(calls[0]!.wgsl);
    expect(calls[1]!.name).toBe(calls[0]!.name);
  });

  test('more numbers than a uniform block has room for', async () => {
    const x = view(0, [2, 3, 5], 5);
    const y = view(1, x.dims, 5);
    const slots = [slab(x, 1), slab(y, 2)];
    const steps = Array.from({ length: 70 }, (_, k) => ({ op: 'offset', attr: k / 64 - 0.5 }));
    const call = map({ x, y, steps });
    expect(call.uniforms).toHaveLength(64);
    await expectKernel(call, slots, y, stepped(steps, slots, field(x, slots[0]!)));
  });

  test.each(SIZES)('map, %i x %i x %i', async (...size) => {
    const x = view(0, size, 5);
    const y = view(1, size, 5, { offset: 4 });
    const other = view(2, size, 5, { offset: 8 });
    const slots = [slab(x, 1), slab(y, 2), slab(other, 3)];
    const steps = [{ op: 'offset', attr: 0.5 }, { op: 'mul', operand: { tensor: other } }, { op: 'exp' }];
    await expectKernel(map({ x, y, steps }), slots, y, stepped(steps, slots, field(x, slots[0]!)));
  });

  // A learned vector and a factor are f32 whatever the activations; weights are images of 4 channels.
  test.each(dtypes)('map by a scalar and f32 vectors (%s)', async (dtype) => {
    const steps = [
      { op: 'mul', operand: { scalar: { slot: 2, dtype: 'f32' } } },
      { op: 'add', operand: { vector: { slot: 3, dtype: 'f32' } } },
    ] as const;
    for (const [size, channels] of [
      [[2, 3, 5], 6],
      [[9, 2, 8], 4],
      [[1, 1, 1], 37],
    ] as const) {
      const x = view(0, size, channels, { dtype });
      const y = view(1, size, channels, { dtype });
      const operands = [view(2, [1, 1, 1], 1), view(3, [1, 1, 1], channels)].map((v, k) => slab(v, 3 + k));
      const slots = [slab(x, 1), slab(y, 2), ...operands];
      await expectKernel(map({ x, y, steps }), slots, y, stepped(steps, slots, field(x, slots[0]!)));
    }
  });

  test('copyWindow', async () => {
    const x = view(0, [2, 9, 11], 5, { offset: 4 });
    const y = view(1, [2, 7, 20], 5, { offset: 8 });
    const slots = [slab(x, 1), slab(y, 2)];
    const [src_y, src_x, dst_y, dst_x, rows, cols] = [2, 3, 1, 12, 6, 8];
    const result = await launch(copyWindow({ x, y }), slots, { src_y, src_x, dst_y, dst_x, rows, cols });
    expect(Object.keys({ src_y, src_x, dst_y, dst_x, rows, cols })).toEqual([...WINDOW_SYMBOLS]);
    const [before, from] = [field(y, slots[1]!), field(x, slots[0]!)];
    const after = field(y, { dtype: 'f32', data: result[1]! });
    for (const n of [0, 1]) {
      for (let r = 0; r < 7; r++) {
        for (let s = 0; s < 20; s++) {
          const inside = r >= dst_y && r < dst_y + rows && s >= dst_x && s < dst_x + cols;
          const want = inside ? from(n, src_y + r - dst_y, src_x + s - dst_x, 4) : before(n, r, s, 4);
          expect(after(n, r, s, 4)).toBe(want);
        }
      }
    }
  });
});
