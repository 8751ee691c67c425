// Which kernel a convolution, or a gradient of one, runs: the class it belongs to, and what the target chooses for that.

import { internal } from '../../diagnostics.js';
import { isSymbolic } from '../../runtime/dims.js';
import { type ConvChoice, type ConvClass, choose } from '../../runtime/kernels/conv_family.js';
import type { DType } from '../../runtime/plan.js';
import type { Attrs, Node, TensorType } from '../graph.js';
import type { Target } from '../target.js';
import { type As, type LaunchContext, num } from './op.js';
import { image, printType } from './types.js';

export interface ConvAttrs {
  readonly stride: number;
  readonly pad: number;
  /** Interleave factor: phases = r * r. */
  readonly r: number;
  readonly shift: number;
}

export function convAttrs(attrs: Attrs): ConvAttrs {
  return {
    stride: num(attrs, 'stride'),
    pad: num(attrs, 'pad'),
    r: Math.sqrt(Number(attrs.phases ?? 1)),
    shift: Number(attrs.shift ?? 0),
  };
}

export type KernelShape = readonly [o: number, i: number, kh: number, kw: number];

export function kernelOf(w: TensorType | undefined): KernelShape {
  const shape = w?.shape ?? [];
  if (shape.length !== 4 || shape.some(isSymbolic))
    internal(`conv weights must be OIHW, got ${w && printType(w)}`);
  return shape as [number, number, number, number];
}

/** Of the weights whose gradient a node makes from `[x, dy]`. */
export function gradientShape([x, dy]: readonly TensorType[], attrs: Attrs): KernelShape {
  const [kh, kw] = attrs.kernel as readonly [number, number];
  return [image(dy, 'conv2d_wgrad').c, image(x, 'conv2d_wgrad').c, kh, kw];
}

const KINDS: Readonly<Record<string, ConvClass['op']>> = {
  conv2d: 'conv',
  conv2d_dgrad: 'dgrad',
  conv2d_wgrad: 'wgrad',
  conv2d_wgrad_parts: 'wgrad',
};

/** Undefined for all that is no convolution. `types` are those of the node's inputs. */
export function convClassOf(
  { op, attrs, type }: Pick<Node, 'op' | 'attrs' | 'type'>,
  types: readonly TensorType[],
  dtype: DType,
): ConvClass | undefined {
  const kind = KINDS[op];
  if (kind === undefined) return undefined;
  const { stride, r } = convAttrs(attrs);
  const [o, i, kh, kw] = kind === 'wgrad' ? gradientShape(types, attrs) : kernelOf(types[1]);
  const [n, , h, w] = (kind === 'wgrad' ? types[1]! : type).shape;
  const pixels = Number(n) * Number(h) * Number(w);
  return {
    op: kind,
    kernel: [kh, kw],
    stride,
    phases: r * r,
    inputs: i,
    outputs: o / (r * r),
    dtype,
    ...(!Number.isNaN(pixels) && { pixels }),
  };
}

/** By target, what it chose for each class: looking through the candidates takes longer than all the rest of a conv. */
const chosen = new WeakMap<Target, Map<string, ConvChoice>>();

/** What runs best on the target, and the size of its subgroups, which some kernels are written for. */
export function choiceFor({ node, types, target }: LaunchContext) {
  const { subgroupSize, precision, tuned } = target;
  const of = convClassOf(node, types, precision) ?? internal(`${node.op} is no convolution`);
  const known = chosen.get(target) ?? new Map<string, ConvChoice>();
  chosen.set(target, known);
  const key = JSON.stringify(of);
  const choice = known.get(key) ?? choose(of, target, tuned);
  known.set(key, choice);
  return { ...choice, ...(subgroupSize !== undefined && { subgroupSize }) };
}

/** How the kernels of a variant read what they multiply. */
export function readAs({ variant }: ConvChoice): As {
  return variant === 'subgroup' ? 'texture' : 'buffer';
}
