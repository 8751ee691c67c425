// Convolution with a fused epilogue, in two variants: `direct` for GPUs, `subgroup` for software Vulkan. Phases make
// the two upsampling fusions: a pixel shuffle as the store of its conv, and nearest-x2 + 3x3 as four 2x2 convs.

import { internal } from '../../diagnostics.js';
import type { DType, Packing } from '../plan.js';
import { conv2dDirect } from './conv2d_direct.js';
import { conv2dSubgroup } from './conv2d_subgroup.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';
import { roundUp } from './kernel.js';

/** Pixels, and groups of 4 (direct) or of the subgroup size (subgroup) output channels. */
export interface ConvTile {
  readonly width: number;
  readonly height: number;
  readonly groups: number;
}

export interface Conv2dSpec {
  readonly x: View;
  /** With phases: the big tensor; `channels` are the outputs of one phase. May share its slot with `x`. */
  readonly y: View;
  /** Packed as `convPacking` says. */
  readonly weight: { readonly slot: number; readonly dtype: DType };
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly pad: number;
  /** 1, or r*r: phase p = i*r + j has its own weights and stores pixel (y, x) at (r*y + i, r*x + j). */
  readonly phases: number;
  /** 1: phase (i, j) pads `pad - i` rows above and `pad - j` columns to the left. */
  readonly phaseShift: 0 | 1;
  readonly epilogue: readonly PointwiseStep[];
  readonly variant: 'direct' | 'subgroup';
  /** What one invocation makes; the variant has a default. Results do not depend on it. */
  readonly tile?: ConvTile;
  readonly subgroupSize?: number;
}

/** Texts by their spec: a network repeats a dozen convs hundreds of times. */
const known = new Map<string, KernelCall>();

export function conv2d(spec: Conv2dSpec): KernelCall {
  const key = JSON.stringify(spec);
  const call = known.get(key) ?? build(spec);
  known.set(key, call);
  return call;
}

function build(spec: Conv2dSpec): KernelCall {
  if (spec.variant === 'direct') return conv2dDirect(spec);
  const { subgroupSize = internal('a subgroup conv needs the subgroup size') } = spec;
  return conv2dSubgroup({ ...spec, subgroupSize });
}

/** How the weights of a conv from `inputs` to `phases * outputs` channels must be packed. */
export function convPacking(inputs: number, outputs: number, phases: number): Packing {
  return { kind: 'conv', inputs: roundUp(inputs, 4), outputs: roundUp(outputs, 4), phases };
}
