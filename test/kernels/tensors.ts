// Tensors for kernel tests: views of channels-last slabs filled with noise, so that a kernel that reads or writes
// beside its view is caught, and the comparison with a reference in f64.

import { expect } from 'vitest';
import type { KernelCall, PointwiseStep, View } from '../../runtime/kernels/kernel.js';
import { POINTWISE } from '../../runtime/kernels/pointwise.js';
import type { DType } from '../../runtime/plan.js';
import { launch, type Storage } from '../device.js';
import { rounded } from '../half.js';

/** A value per image, row, column and channel. */
export type Field = (n: number, y: number, x: number, c: number) => number;
/** A view whose extent is known. */
export type Fixed = View & { readonly dims: readonly [number, number, number] };

/** Reproducible noise in [-1, 1). */
export function noise(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

export function noisy(length: number, seed: number, dtype: DType = 'f32'): Float32Array {
  const next = noise(seed);
  return Float32Array.from({ length }, () => rounded(next(), dtype));
}

export function view(
  slot: number,
  dims: readonly [number, number, number],
  channels: number,
  options: { dtype?: DType; stride?: number; offset?: number } = {},
): Fixed {
  const { dtype = 'f32', offset = 0 } = options;
  return {
    slot,
    dtype,
    dims,
    channels,
    offset,
    stride: options.stride ?? Math.ceil((offset + channels) / 4) * 4,
  };
}

/** A buffer of noise that holds `v`, with zeros in the channel padding of each of `views`. */
export function slab(v: Fixed, seed: number, views: readonly Fixed[] = [v]): Storage {
  const [n, h, w] = v.dims;
  const data = noisy(n * h * w * v.stride, seed, v.dtype);
  for (const { channels, offset } of views) {
    for (let pixel = 0; pixel < n * h * w; pixel++) {
      const start = pixel * v.stride + offset;
      data.fill(0, start + channels, start + Math.ceil(channels / 4) * 4);
    }
  }
  return { dtype: v.dtype, data };
}

/** What `v` holds; 0 outside the image. */
export function field(v: Fixed, storage: Storage): Field {
  const [, h, w] = v.dims;
  return (n, y, x, c) => {
    if (y < 0 || x < 0 || y >= h || x >= w) return 0;
    return storage.data[((n * h + y) * w + x) * v.stride + v.offset + c] as number;
  };
}

/** The steps in f64; operands are read from `slots`. */
export function stepped(
  steps: readonly PointwiseStep[],
  slots: readonly Storage[],
  base: Field,
  phases = 1,
): Field {
  const side = Math.sqrt(phases);
  return (n, y, x, c) =>
    steps.reduce(
      (v, { op, attr = 0, operand, swapped }) => {
        const row = POINTWISE[op]!;
        if (!operand) return row.reference(v, 0, attr);
        let other: number;
        if ('tensor' in operand)
          other = field(operand.tensor as Fixed, slots[operand.tensor.slot]!)(n, y, x, c);
        else if ('scalar' in operand) other = slots[operand.scalar.slot]!.data[0] as number;
        else {
          const { data } = slots[operand.vector.slot]!;
          const phase = operand.vector.phased ? (y % side) * side + (x % side) : 0;
          other = data[(phase * data.length) / (operand.vector.phased ? phases : 1) + c] as number;
        }
        return swapped ? row.reference(other, v, attr) : row.reference(v, other, attr);
      },
      base(n, y, x, c),
    );
}

/**
 * Launches `call` and compares the view `y` with `expected`, its channel padding with zeros, and everything else in
 * its buffer with what was there. `tolerance` is relative to values of size 1.
 */
export async function expectKernel(
  call: KernelCall,
  slots: readonly Storage[],
  y: Fixed,
  expected: Field,
  tolerance = 1e-5,
): Promise<void> {
  const result = (await launch(call, slots, {}))[y.slot]!;
  const [n, h, w] = y.dims;
  const want = Float64Array.from(slots[y.slot]!.data);
  const padded = Math.ceil((y.offset + y.channels) / 4) * 4 - y.offset;
  for (let pixel = 0; pixel < n * h * w; pixel++) {
    const at = [Math.floor(pixel / (h * w)), Math.floor(pixel / w) % h, pixel % w] as const;
    for (let c = 0; c < padded; c++) {
      want[pixel * y.stride + y.offset + c] = c < y.channels ? expected(...at, c) : 0;
    }
  }
  const bound = y.dtype === 'f16' ? Math.max(tolerance, 2 ** -11) : tolerance;
  let worst = { index: -1, excess: 0 };
  result.forEach((value, index) => {
    const error = Math.abs(value - want[index]!) / Math.max(1, Math.abs(want[index]!));
    const excess = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error - bound;
    if (excess > worst.excess) worst = { index, excess };
  });
  const { index } = worst;
  expect(index, `${call.name} ${y.dims}: element ${index} is ${result[index]}, not ${want[index]}`).toBe(-1);
}
