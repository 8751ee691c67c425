// What a kernel family takes and gives. A family is a pure function from a spec to WGSL text and launch data;
// it knows layouts and arithmetic, never graphs or devices.
//
// Text conventions: `@group(0) @binding(0) var<uniform> u: Uniforms` holds u32 words; storage bindings follow from
// 1. Operands that share a buffer share a binding ("slot"), because WebGPU forbids one buffer bound both `read` and
// `read_write` in a dispatch, even for disjoint ranges (a dense block reads and writes one buffer).

import type { Dim } from '../dims.js';
import type { Axis, DType, PlanKernel } from '../plan.js';

/** A channels-last tensor as a kernel sees it: `channels` from `offset` in pixels of `stride` elements. */
export interface View {
  /** Index of the storage binding, from 0 (WGSL binding = slot + 1). */
  readonly slot: number;
  readonly dtype: DType;
  readonly dims: readonly [n: Dim, h: Dim, w: Dim];
  readonly channels: number;
  readonly stride: number;
  readonly offset: number;
  /** Read through a texture: its texels are the buffer's elements of four channels (`texel` in text.ts). */
  readonly texture?: true;
}

/** A per-channel constant vector (bias, prelu slope), zero-padded to a multiple of 4. */
export interface Vector {
  readonly slot: number;
  readonly dtype: DType;
  /** One padded vector per phase of a phased conv, in the order of the phases. */
  readonly phased?: boolean;
}

/** Weights, packed as `convPacking` says. */
export interface Weights {
  readonly slot: number;
  readonly dtype: DType;
  /** As of a view. */
  readonly texture?: true;
}

/** An operand of a pointwise step: another tensor of the output's shape, one value per channel, or one for all. */
export type PointwiseOperand =
  | { readonly tensor: View }
  | { readonly vector: Vector }
  /** The first element of the buffer. */
  | { readonly scalar: Vector };

/** One pointwise step applied to the value `v` in registers: a row of pointwise.ts, its constant, its operand. */
export interface PointwiseStep {
  readonly op: string;
  readonly attr?: number;
  readonly operand?: PointwiseOperand;
  /** The value in registers is the operation's second argument: `sub` then gives operand - v. */
  readonly swapped?: boolean;
  /** The channels that it changes, which its operand has; all where there is none. From a multiple of 4. */
  readonly channels?: readonly [from: number, to: number];
}

/** A kernel ready to be launched. Its name is short and readable: `conv3x3_64_32_direct`. */
export interface KernelCall extends PlanKernel {
  readonly uniforms: readonly Dim[];
  readonly workgroups: readonly [Axis, Axis, Axis];
}

/** `make`, once for each spec: a network repeats a dozen kernels hundreds of times. */
export function once<Spec>(make: (spec: Spec) => KernelCall): (spec: Spec) => KernelCall {
  const known = new Map<string, KernelCall>();
  return (spec) => {
    const key = JSON.stringify(spec);
    const call = known.get(key) ?? make(spec);
    known.set(key, call);
    return call;
  };
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
