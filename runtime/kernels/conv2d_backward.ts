// The two gradients of a convolution (no phases). `dgrad` gathers: each input pixel sums over the outputs that saw it.
// `wgradParts` splits its long sum over the rows of all images into parts, which `sumParts` adds up in order: the
// result depends on the shapes and the number of parts only.

import { internal } from '../../diagnostics.js';
import type { DType } from '../plan.js';
import { convolve } from './conv2d.js';
import { wgradSubgroup } from './conv2d_wgrad_subgroup.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, reads, writes } from './text.js';

interface Geometry {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly pad: number;
  readonly variant: 'direct' | 'subgroup';
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

/** The gradient with respect to the input. A conv with flipped weights does the same where the stride is 1. */
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

const WORKGROUP = 64;

/** Partial sums of the gradient with respect to the weights: of each part's share of the rows of all images. */
export function wgradParts(spec: WgradSpec): KernelCall {
  if (spec.variant === 'direct') return wgradDirect(spec);
  const { subgroupSize = internal('a subgroup kernel needs the subgroup size') } = spec;
  return wgradSubgroup({ ...spec, subgroupSize });
}

function wgradDirect({ x, dy, partial, parts, kernel, stride, pad }: WgradSpec): KernelCall {
  const [height, width] = kernel;
  const [inputs, outputs] = [groupsOf(x.channels), groupsOf(dy.channels) * 4];
  const size = height * width * inputs * outputs;
  const xIndex = elementIndex(x, 4, 'x_start + x_column', 'i');
  const dyIndex = elementIndex(dy, 1, 'row * u.dy_w + column', 'o');
  return assemble({
    name: `wgrad${height}x${width}_${x.channels}_${dy.channels}`,
    uniforms: { x_h: x.dims[1], x_w: x.dims[2], dy_n: dy.dims[0], dy_h: dy.dims[1], dy_w: dy.dims[2] },
    uses: [reads(x), reads(dy, 1), writes(partial)],
    width: 4,
    body: [
      `@compute @workgroup_size(${WORKGROUP})`,
      'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
      `if (id.x >= ${size}u) { return; }`,
      `let o = id.x % ${outputs}u; let i = id.x / ${outputs}u % ${inputs}u; let tap = id.x / ${outputs * inputs}u;`,
      `let ky = tap / ${width}u; let kx = tap % ${width}u;`,
      `let rows = u.dy_n * u.dy_h; let share = (rows + ${parts - 1}u) / ${parts}u;`,
      'var sum = Value();',
      'for (var row = id.y * share; row < min((id.y + 1u) * share, rows); row++) {',
      // Positions before the image wrap to huge numbers.
      `let x_row = row % u.dy_h * ${stride}u + ky - ${pad}u;`,
      'if (x_row >= u.x_h) { continue; }',
      'let x_start = (row / u.dy_h * u.x_h + x_row) * u.x_w;',
      'for (var column = 0u; column < u.dy_w; column++) {',
      `let x_column = column * ${stride}u + kx - ${pad}u;`,
      `if (x_column < u.x_w) { sum += ${load(x, 4, xIndex)} * ${load(dy, 1, dyIndex)}; }`,
      '} }',
      `s${partial.slot}[id.y * ${size}u + id.x] = sum;`,
      '}',
    ],
    workgroups: [[{ dim: size, per: WORKGROUP }], [{ dim: parts, per: 1 }], []],
  });
}
