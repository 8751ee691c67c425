// Which tensor lies in which physical buffer: greedy interval colouring, largest first (Pisarchyk & Lee 2020,
// "greedy by size"). A physical buffer holds one tensor at a time, so every binding starts at offset 0 and a step
// can never read and write the same memory through two tensors.

import { evalDim, type Sizes } from './dims.js';
import { roundUp } from './kernels/kernel.js';
import type { DType, Packing, PlanBuffer, PlanConstant } from './plan.js';

/** Storage-buffer offsets must be multiples of this; sizes are rounded to it too. */
export const ALIGNMENT = 256;

/** A tensor and the moments of its life, both included: two lives that share a moment cannot share memory. */
export interface Life {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface Placement {
  /** The physical buffer of each life. */
  readonly slots: readonly number[];
  /** Bytes of each physical buffer, in decreasing order. */
  readonly sizes: readonly number[];
}

/** Places every life in a physical buffer that is free for all of it. */
export function place(lives: readonly Life[]): Placement {
  const order = [...lives.keys()].sort(
    (a, b) => lives[b]!.bytes - lives[a]!.bytes || lives[a]!.first - lives[b]!.first || a - b,
  );
  const tenants: Life[][] = [];
  const slots = new Array<number>(lives.length);
  for (const index of order) {
    const life = lives[index]!;
    let slot = tenants.findLastIndex((others) => others.every((other) => !overlap(life, other)));
    if (slot < 0) slot = tenants.push([]) - 1;
    tenants[slot]!.push(life);
    slots[index] = slot;
  }
  return { slots, sizes: tenants.map(([largest]) => largest!.bytes) };
}

function overlap(a: Life, b: Life): boolean {
  return a.first <= b.last && b.first <= a.last;
}

export function bytesPerElement(dtype: DType): number {
  return dtype === 'f16' ? 2 : 4;
}

export function bufferBytes({ dims, stride, dtype }: PlanBuffer, sizes: Sizes): number {
  const elements = dims.reduce<number>((product, dim) => product * evalDim(dim, sizes), stride);
  return roundUp(elements * bytesPerElement(dtype), ALIGNMENT);
}

export function constantBytes({ value, packing, dtype }: PlanConstant): number {
  return roundUp(packedLength(packing, value.shape) * bytesPerElement(dtype), ALIGNMENT);
}

/** How many values a tensor of `shape` is when packed. */
export function packedLength(packing: Packing, shape: readonly number[]): number {
  if (packing.kind === 'vector') return packing.length * (packing.phases ?? 1);
  const [, , height = 1, width = 1] = shape;
  return packing.phases * height * width * packing.inputs * packing.outputs;
}
