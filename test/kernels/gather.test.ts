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
    out: scaled(3),
    channels: same,
    reference: (x) => (n, r, s, c) => x(n, Math.floor(r / 3), Math.floor(s / 3), c),
  },
  ...[2, 3].map((factor) => ({
    name: `upsampleBilinear ${factor}`,
    kernel: (x: View, y: View) => upsampleBilinear({ x, y, factor }),
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
  {
    name: 'avgPool 3 stride 1',
    kernel: (x, y) => avgPool({ x, y, size: 3, stride: 1 }),
    out: pooled(3, 1),
    channels: same,
    reference: (x) => (n, r, s, c) => window(x, 3, 1, n, r, s, c).reduce((a, b) => a + b) / 9,
  },
  {
    name: 'forwardDifference h',
    kernel: (x, y) => forwardDifference({ x, y, axis: 'h' }),
    out: ([n, h, w]) => (h > 1 ? [n, h - 1, w] : undefined),
    channels: same,
    reference: (x) => (n, r, s, c) => x(n, r + 1, s, c) - x(n, r, s, c),
  },
  {
    name: 'forwardDifference w',
    kernel: (x, y) => forwardDifference({ x, y, axis: 'w' }),
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

describe.skipIf(!device)('gather', () => {
  test.each(rows)('$name', async (row) => {
    for (const size of SIZES) await check(row, size, 5);
    for (const channels of [1, 3, 32, 33]) await check(row, [2, 6, 6], channels);
    for (const dtype of dtypes) await check(row, [2, 6, 6], 5, dtype);
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

  test.each(SIZES)('map, %i x %i x %i', async (...size) => {
    const x = view(0, size, 5);
    const y = view(1, size, 5, { offset: 4 });
    const other = view(2, size, 5, { offset: 8 });
    const slots = [slab(x, 1), slab(y, 2), slab(other, 3)];
    const steps = [{ op: 'offset', attr: 0.5 }, { op: 'mul', operand: { tensor: other } }, { op: 'exp' }];
    await expectKernel(map({ x, y, steps }), slots, y, stepped(steps, slots, field(x, slots[0]!)));
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
