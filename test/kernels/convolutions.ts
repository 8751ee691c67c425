// Convolutions for tests of their kernels: a case, the call that computes it, its operands, and what it should give, in f64.

import { type Conv2dSpec, conv2d, convPacking } from '../../runtime/kernels/conv2d.js';
import type { PointwiseStep } from '../../runtime/kernels/kernel.js';
import { packConv } from '../../runtime/kernels/pack.js';
import type { DType } from '../../runtime/plan.js';
import type { Storage } from '../device.js';
import { expectKernel, type Field, type Fixed, field, noisy, slab, stepped, view } from './tensors.js';

export type Variant = Pick<Conv2dSpec, 'variant' | 'subgroupSize' | 'tile'>;

export interface Case {
  readonly size: readonly [n: number, h: number, w: number];
  readonly channels: readonly [inputs: number, outputs: number];
  readonly kernel?: readonly [number, number];
  readonly stride?: number;
  readonly pad?: number;
  readonly phases?: number;
  readonly phaseShift?: 0 | 1;
  readonly dtype?: DType;
  readonly epilogue?: readonly PointwiseStep[];
  /** Extra slots, from 3 on. */
  readonly operands?: readonly Storage[];
}

/** The convolution of `x` with OIHW weights (after the phase split), in f64. */
export function reference(x: Fixed, xs: Storage, weights: Float32Array, spec: Conv2dSpec): Field {
  const input = field(x, xs);
  const side = Math.sqrt(spec.phases);
  const [kh, kw] = spec.kernel;
  return (n, y, col, o) => {
    const [i, j] = [y % side, col % side];
    const row = (i * side + j) * spec.y.channels + o;
    const top = Math.floor(y / side) * spec.stride - spec.pad + spec.phaseShift * i;
    const left = Math.floor(col / side) * spec.stride - spec.pad + spec.phaseShift * j;
    let sum = 0;
    for (let c = 0; c < x.channels; c++) {
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          sum += input(n, top + ky, left + kx, c) * weights[((row * x.channels + c) * kh + ky) * kw + kx]!;
        }
      }
    }
    return sum;
  };
}

export function weightsFor(spec: Conv2dSpec, seed: number): { plain: Float32Array; packed: Storage } {
  const [kh, kw] = spec.kernel;
  const shape = [spec.phases * spec.y.channels, spec.x.channels, kh, kw];
  const scale = 1 / Math.sqrt(spec.x.channels * kh * kw);
  const count = shape.reduce((a, b) => a * b);
  // Quantised to 1/512, so that f16 stores them exactly.
  const plain = noisy(count, seed).map((v) => Math.round(v * scale * 512) / 512);
  const packing = convPacking(spec.x.channels, spec.y.channels, spec.phases);
  if (packing.kind !== 'conv') throw new Error('not a conv packing');
  return { plain, packed: { dtype: spec.weight.dtype, data: packConv(plain, shape, packing) } };
}

export function build(c: Case, variant: Variant) {
  const {
    kernel = [3, 3],
    stride = 1,
    pad = 1,
    phases = 1,
    phaseShift = 0,
    dtype = 'f32',
    epilogue = [],
  } = c;
  const [n, h, w] = c.size;
  const side = Math.sqrt(phases);
  const out = (size: number, k: number): number =>
    side * (phases > 1 ? size : Math.floor((size + 2 * pad - k) / stride) + 1);
  const through = variant.variant === 'subgroup' ? ({ texture: true } as const) : {};
  const x = { ...view(0, c.size, c.channels[0], { dtype, offset: 4 }), ...through };
  const y = view(1, [n, out(h, kernel[0]), out(w, kernel[1])], c.channels[1], {
    dtype,
    offset: 8,
    stride: 48,
  });
  const weight = { slot: 2, dtype, ...through };
  const spec: Conv2dSpec = { x, y, weight, kernel, stride, pad, phases, phaseShift, epilogue, ...variant };
  const { plain, packed } = weightsFor(spec, 3);
  const slots = [slab(x, 1), slab(y, 2), packed, ...(c.operands ?? [])];
  const expected = stepped(epilogue, slots, reference(x, slots[0]!, plain, spec), phases);
  return { call: conv2d(spec), slots, y, expected };
}

export async function check(c: Case, variant: Variant): Promise<void> {
  const { call, slots, y, expected } = build(c, variant);
  await expectKernel(call, slots, y, expected);
}
