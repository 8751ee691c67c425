// The gradients of the convolution in every variant against plain loops over its definition, and the sum over parts.

import { describe, expect, test } from 'vitest';
import { convPacking, type TiledTile } from '../../runtime/kernels/conv2d.js';
import { type DgradSpec, dgrad, type WgradSpec, wgradParts } from '../../runtime/kernels/conv2d_backward.js';
import type { PointwiseStep } from '../../runtime/kernels/kernel.js';
import { packConv } from '../../runtime/kernels/pack.js';
import { sumParts } from '../../runtime/kernels/reduce.js';
import { weightView } from '../../runtime/kernels/weights.js';
import type { DType } from '../../runtime/plan.js';
import { device, dtypes, launch, type Storage, subgroupSize } from '../device.js';
import { expectKernel, field, noisy, slab, stepped, view } from './tensors.js';

interface Case {
  readonly size: readonly [n: number, h: number, w: number];
  readonly channels: readonly [inputs: number, outputs: number];
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pad: number;
  readonly parts: number;
  readonly dtype?: DType;
}

const f16 = dtypes.includes('f16') ? [{ dtype: 'f16' as const }] : [];

// 68 channels, so that drivers do not unroll the loops of dgrad whole and compile for half a minute.
const CASES: readonly Case[] = [
  { size: [1, 1, 1], channels: [1, 3], kernel: [3, 3], stride: 1, pad: 1, parts: 1 },
  { size: [2, 5, 7], channels: [5, 68], kernel: [3, 3], stride: 1, pad: 1, parts: 3 },
  { size: [2, 8, 9], channels: [3, 68], kernel: [4, 4], stride: 2, pad: 1, parts: 2 },
  { size: [1, 33, 17], channels: [4, 68], kernel: [3, 3], stride: 2, pad: 1, parts: 4 },
  { size: [1, 6, 7], channels: [2, 3], kernel: [2, 5], stride: 3, pad: 2, parts: 7 },
  { size: [3, 4, 5], channels: [8, 4], kernel: [1, 1], stride: 1, pad: 0, parts: 2 },
  { size: [3, 4, 4], channels: [8, 5], kernel: [4, 4], stride: 1, pad: 0, parts: 1 },
  { size: [2, 6, 5], channels: [37, 3], kernel: [3, 3], stride: 1, pad: 1, parts: 5 },
  ...f16.map((half) => ({
    ...half,
    ...({ size: [2, 5, 7], channels: [5, 12], kernel: [3, 3], stride: 2, pad: 1, parts: 3 } as const),
  })),
];

interface Variant {
  readonly dgrad: Pick<DgradSpec, 'variant' | 'subgroupSize' | 'tile'>;
  readonly wgrad: Pick<WgradSpec, 'variant' | 'subgroupSize' | 'tile'>;
  readonly cases: readonly Case[];
}

const same = (choice: Variant['dgrad']): Variant => ({ dgrad: choice, wgrad: choice, cases: CASES });

const tiled = (dgrad: TiledTile, wgrad: TiledTile, cases: Variant['cases']): Variant => ({
  dgrad: { variant: 'tiled', tile: dgrad },
  wgrad: { variant: 'tiled', tile: wgrad },
  cases,
});

const variants: Variant[] = [
  same({ variant: 'direct' }),
  ...(device?.features.has('subgroups') && subgroupSize ? [same({ variant: 'subgroup', subgroupSize })] : []),
  // Few texts, because software drivers take more than a second for each.
  tiled(
    { width: 1, height: 1, groups: 1, lanes: [4, 8, 2] },
    { width: 4, height: 2, groups: 1, lanes: [4, 8, 1] },
    CASES.filter(({ stride, dtype }) => stride === 3 || dtype === 'f16'),
  ),
  tiled(
    { width: 2, height: 2, groups: 1, lanes: [2, 8, 4] },
    { width: 4, height: 1, groups: 2, lanes: [2, 8, 3] },
    CASES.slice(1, 2),
  ),
];

const out = ({ size: [n, h, w], kernel, stride, pad }: Case): [number, number, number] => [
  n,
  Math.floor((h + 2 * pad - kernel[0]) / stride) + 1,
  Math.floor((w + 2 * pad - kernel[1]) / stride) + 1,
];

const f32 = (data: Float32Array): Storage => ({ dtype: 'f32', data });

function pack(weights: Float32Array, shape: readonly number[]): Float32Array {
  const packing = convPacking(shape[1]!, shape[0]!, 1);
  if (packing.kind !== 'conv') throw new Error('not a conv packing');
  return packConv(weights, shape, packing);
}

describe.skipIf(!device).each(variants)('$dgrad.variant', (variant) => {
  describe.each(variant.cases)('$kernel stride $stride, $size, $channels $dtype', (c) => {
    const { dtype = 'f32' } = c;
    const [inputs, outputs] = c.channels;
    const [kh, kw] = c.kernel;
    const [n, oh, ow] = out(c);
    const shape = [outputs, inputs, kh, kw];
    const dy = view(0, [n, oh, ow], outputs, { dtype, offset: 4 });

    test('dgrad', async () => {
      const dx = view(1, c.size, inputs, { dtype, offset: 8 });
      const weights = noisy(inputs * outputs * kh * kw, 3, dtype);
      const mask = view(3, c.size, inputs, { dtype });
      const epilogue: PointwiseStep[] = [{ op: 'mul', operand: { tensor: mask } }];
      const slots = [slab(dy, 1), slab(dx, 2), { dtype, data: pack(weights, shape) }, slab(mask, 4)];
      const d = field(dy, slots[0]!);
      const call = dgrad({ ...c, ...variant.dgrad, dy, dx, weight: { slot: 2, dtype }, epilogue });
      const sums = (b: number, y: number, x: number, i: number) => {
        let sum = 0;
        for (let o = 0; o < outputs; o++) {
          for (let oy = 0; oy < oh; oy++) {
            for (let ox = 0; ox < ow; ox++) {
              const [ky, kx] = [y + c.pad - oy * c.stride, x + c.pad - ox * c.stride];
              if (ky < 0 || kx < 0 || ky >= kh || kx >= kw) continue;
              sum += d(b, oy, ox, o) * weights[((o * inputs + i) * kh + ky) * kw + kx]!;
            }
          }
        }
        return sum;
      };
      await expectKernel(call, slots, dx, stepped(epilogue, slots, sums));
    });

    test('wgrad', async () => {
      const x = view(1, c.size, inputs, { dtype, offset: 4 });
      const y = weightView({ slot: 1, dtype: 'f32' }, c.kernel, inputs, outputs) as ReturnType<typeof view>;
      const [taps, rows, columns] = y.dims;
      const elements = taps * rows * columns * 4;
      const slots = [slab(dy, 1), slab(x, 2), f32(noisy(elements * c.parts, 4))];
      const partial = { slot: 2, dtype: 'f32' } as const;
      const parts = (await launch(wgradParts({ ...c, ...variant.wgrad, x, dy, partial }), slots, {}))[2]!;
      const [from, d] = [field(x, slots[1]!), field(dy, slots[0]!)];
      const share = Math.ceil((n * oh) / c.parts);
      // Part by part, because a graph may look at the parts themselves.
      const wants = Array.from({ length: c.parts }, (_, part) =>
        pack(
          new Float32Array(inputs * outputs * kh * kw).map((_, at) => {
            const [kx, ky] = [at % kw, Math.floor(at / kw) % kh];
            const [i, o] = [Math.floor(at / (kh * kw)) % inputs, Math.floor(at / (kh * kw * inputs))];
            let sum = 0;
            for (let row = part * share; row < Math.min((part + 1) * share, n * oh); row++) {
              const [b, oy] = [Math.floor(row / oh), row % oh];
              for (let ox = 0; ox < ow; ox++) {
                sum += d(b, oy, ox, o) * from(b, oy * c.stride - c.pad + ky, ox * c.stride - c.pad + kx, i);
              }
            }
            return sum;
          }),
          shape,
        ),
      );
      wants
        .flatMap((want) => [...want])
        .forEach((want, at) => {
          expect(Math.abs(parts[at]! - want) / Math.max(1, Math.abs(want)), `element ${at}`).toBeLessThan(
            1e-5,
          );
        });
      const all = { ...y, slot: 0, dims: [taps * c.parts, rows, columns] as const };
      const call = sumParts({ x: all, y, parts: c.parts });
      await expectKernel(call, [f32(parts), f32(noisy(elements, 5))], y, (tap, row, column, k) =>
        wants.reduce((sum, want) => sum + want[((tap * rows + row) * columns + column) * 4 + k]!, 0),
      );
    });
  });
});
