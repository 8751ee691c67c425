// The two gradients of a convolution (no phases), in the variants of the convolution. `dgrad` gathers: each input pixel
// sums over the outputs that saw it. `wgradParts` splits its long sum over the rows of all images into parts, which
// `sumParts` adds up in order: the result depends on the shapes and the number of parts only.

import { internal } from '../../diagnostics.js';
import type { DType } from '../plan.js';
import type { ConvVariant } from './conv_family.js';
import { type AnyTile, convolve, tiledTile } from './conv2d.js';
import { wgradDirect } from './conv2d_wgrad_direct.js';
import { wgradSubgroup } from './conv2d_wgrad_subgroup.js';
import { wgradTiled } from './conv2d_wgrad_tiled.js';
import { type KernelCall, once, type PointwiseStep, type View } from './kernel.js';

interface Geometry {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly pad: number;
  readonly variant: ConvVariant;
  readonly tile?: AnyTile;
  readonly subgroupSize?: number;
}

/** Weights as `convPacking` lays them out. */
interface Weights {
  readonly slot: number;
  readonly dtype: DType;
}

export interface DgradSpec extends Geometry {
  readonly dy: View;
  readonly dx: View;
  /** Of the convolution itself: packed as a conv from the channels of dx to those of dy. */
  readonly weight: Weights;
  readonly epilogue?: readonly PointwiseStep[];
}

/** The gradient with respect to the input. */
export function dgrad({ dy, dx, epilogue = [], ...spec }: DgradSpec): KernelCall {
  const phases = { phases: spec.stride ** 2, phaseShift: 0 } as const;
  return convolve({ ...spec, ...phases, x: dy, y: dx, epilogue, transposed: true });
}

export interface WgradSpec extends Geometry {
  readonly x: View;
  readonly dy: View;
  /** f32: `parts` gradients one after the other, each packed as the weights are. */
  readonly partial: Weights;
  /** How many shares the rows of all images are divided into. */
  readonly parts: number;
}

/** Partial sums of the gradient with respect to the weights: of each part's share of the rows of all images. */
export const wgradParts = once((spec: WgradSpec): KernelCall => {
  if (spec.variant === 'direct') return wgradDirect(spec);
  if (spec.variant === 'tiled') return wgradTiled(spec, tiledTile(spec.tile));
  const { subgroupSize = internal('a subgroup kernel needs the subgroup size') } = spec;
  return wgradSubgroup({ ...spec, subgroupSize });
});
