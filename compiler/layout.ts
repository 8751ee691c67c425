// How values lie on the device. An image is channels-last; a vector one pixel, a scalar its first channel; weights are
// packed for convolutions, `[taps][I/4][O padded to 4][4 of I]`, which to pointwise kernels is an image of 4 channels.

import { internal } from '../diagnostics.js';
import type { Dim } from '../runtime/dims.js';
import { convPacking } from '../runtime/kernels/conv2d.js';
import { roundUp } from '../runtime/kernels/kernel.js';
import type { Packing } from '../runtime/plan.js';
import type { Graph, Ref, TensorType } from './graph.js';
import { isPointwise } from './ops/pointwise.js';
import { image } from './ops/types.js';

export type Layout = 'image' | 'weight' | 'vector' | 'scalar';

/** Ops that make weights; `sum_parts` is given several, one after another. */
const MAKES_WEIGHTS: ReadonlySet<string> = new Set([
  'conv2d_wgrad',
  'conv2d_wgrad_parts',
  'sum_parts',
  'nearest_kernel',
  'nearest_kernel_adjoint',
]);

export function layoutsOf(graph: Graph): Map<Ref, Layout> {
  const layouts = new Map<Ref, Layout>();
  const set = (ref: Ref, { shape: { length } }: TensorType, wide: Layout) =>
    layouts.set(ref, length === 0 ? 'scalar' : length === 1 ? 'vector' : wide);
  for (const { ref, type } of graph.inputs) set(ref, type, 'image');
  for (const { ref, type } of graph.params) set(ref, type, 'weight');
  for (const { ref, op, inputs, type } of graph.nodes) {
    const like = isPointwise(op) || op === 'map' ? layouts.get(inputs[0]!) : undefined;
    set(ref, type, like ?? (MAKES_WEIGHTS.has(op) ? 'weight' : 'image'));
  }
  return layouts;
}

export interface Geometry {
  readonly dims: readonly [n: Dim, h: Dim, w: Dim];
  readonly channels: number;
  readonly stride: number;
}

export function geometryOf(type: TensorType, layout: Layout): Geometry {
  if (layout === 'image') {
    const { n, c, h, w } = image(type, 'a buffer');
    return { dims: [n, h, w], channels: c, stride: roundUp(c, 4) };
  }
  const shape = type.shape as readonly number[];
  if (layout === 'weight') {
    const [kw, kh, i, o, parts = 1] = shape.toReversed() as [number, number, number, number, number?];
    return { dims: [parts * kh * kw, Math.ceil(i / 4), roundUp(o, 4)], channels: 4, stride: 4 };
  }
  const [channels = 1] = shape;
  return { dims: [1, 1, 1], channels, stride: roundUp(channels, 4) };
}

/** How a parameter of this type lies, alone. */
export function packingOf({ shape }: TensorType): Packing {
  const [o = 1, i, , width] = shape as readonly number[];
  if (i === undefined) return { kind: 'vector', length: roundUp(o, 4) };
  if (width === undefined) return internal(`no packing for a tensor of ${shape.length} dimensions`);
  return convPacking(i, o, 1);
}
