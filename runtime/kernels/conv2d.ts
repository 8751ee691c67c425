// Convolution with a fused epilogue, in three variants: `tiled` and `direct` for GPUs, with and without workgroup
// memory, `subgroup` for software Vulkan. Phases make the two upsampling fusions: a pixel shuffle as the store of its
// conv, and nearest-x2 + 3x3 as four 2x2 convs.

import { internal } from '../../diagnostics.js';
import type { DType, Packing } from '../plan.js';
import type { ConvVariant } from './conv_family.js';
import { conv2dDirect } from './conv2d_direct.js';
import type { ConvForm } from './conv2d_frame.js';
import { conv2dMatrix, type MatrixTile } from './conv2d_matrix.js';
import { conv2dSubgroup } from './conv2d_subgroup.js';
import { conv2dTiled } from './conv2d_tiled.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';
import { once, roundUp } from './kernel.js';

/** What an invocation (direct, tiled) or a subgroup makes: pixels, and groups of 4 output channels. */
export interface ConvTile {
  readonly width: number;
  readonly height: number;
  /** In the subgroup variant, 1 by default. */
  readonly images?: number;
  readonly groups: number;
}

export interface TiledTile extends ConvTile {
  /** The invocations of a workgroup; of a gradient of weights as `wgradTiled` says. */
  readonly lanes: readonly [across: number, down: number, groups: number];
}

export type AnyTile = ConvTile | TiledTile | MatrixTile;

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
  readonly variant: ConvVariant;
  /** All variants but `tiled` have a default. Results do not depend on it beyond rounding. */
  readonly tile?: AnyTile;
  readonly subgroupSize?: number;
}

export function conv2d(spec: Conv2dSpec): KernelCall {
  return convolve({ ...spec, transposed: false });
}

/** A convolution or its gradient with respect to the input. */
export const convolve = once((form: ConvForm): KernelCall => {
  if (form.variant === 'direct') return conv2dDirect(form);
  if (form.variant === 'tiled') return conv2dTiled(form, tiledTile(form.tile));
  const { subgroupSize = internal('a subgroup conv needs the subgroup size') } = form;
  if (form.variant === 'matrix') return conv2dMatrix({ ...form, subgroupSize }, matrixTile(form.tile));
  return conv2dSubgroup({ ...form, subgroupSize });
});

/** The variant needs one, because none fits every convolution. */
export function tiledTile(tile: AnyTile | undefined): TiledTile {
  return tile && 'lanes' in tile ? tile : internal('a tiled kernel needs a tile with lanes');
}

function matrixTile(tile: AnyTile | undefined): MatrixTile {
  return tile && 'matrix' in tile ? tile : internal('a conv by matrices needs a tile of them');
}

/** How the weights of a conv from `inputs` to `phases * outputs` channels must be packed. */
export function convPacking(inputs: number, outputs: number, phases: number): Packing {
  return { kind: 'conv', inputs: roundUp(inputs, 4), outputs: roundUp(outputs, 4), phases };
}
