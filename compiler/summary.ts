// What a network costs, read off its unoptimized graph: the numbers papers quote.

import { evalDim, isSymbolic, type Sizes } from '../runtime/dims.js';
import type { Graph, Ref, TensorType } from './graph.js';
import { typesOf } from './graph.js';
import { GLOBAL_REACH } from './ops/op.js';
import { opNamed } from './ops/registry.js';
import { sizeOf } from './tensor.js';

export interface Summary {
  /** Values in trainable tensors and running statistics. */
  readonly parameters: number;
  readonly tensors: number;
  readonly convs: number;
  /** Multiply-accumulates per pixel of the input (symbolic sizes), as the network is written. */
  readonly macsPerPixel: number;
  /** Pixels of the input between an output pixel and the farthest one it depends on; Infinity for global ops. */
  readonly receptiveRadius: number;
}

export function summarize(graph: Graph): Summary {
  const types = typesOf(graph);
  const input = graph.inputs[0]?.type;
  const sizes: Sizes = { n: 1, h: PROBE, w: PROBE };
  const pixels = input
    ? extent(input, sizes)
        .slice(2)
        .reduce((a, b) => a * b, 1)
    : 1;
  const macs = graph.nodes.reduce((sum, node) => {
    const inputs = node.inputs.map((ref) => types.get(ref) as TensorType);
    return sum + opNamed(node.op).macs(inputs, node.attrs) * sizeOf(extent(node.type, sizes));
  }, 0);
  return {
    parameters: graph.params.reduce((sum, { type }) => sum + sizeOf(type.shape as number[]), 0),
    tensors: graph.params.length,
    convs: graph.nodes.filter((node) => node.op === 'conv2d').length,
    macsPerPixel: macs / pixels,
    receptiveRadius: receptiveRadius(graph),
  };
}

/** Follows the margin around one pixel back to the inputs, in exact fractions of pixels. */
function receptiveRadius(graph: Graph): number {
  const types = typesOf(graph);
  const margins = new Map<Ref, number>(graph.outputs.map((ref) => [ref, 0]));
  for (const { ref, op, inputs, attrs } of graph.nodes.toReversed()) {
    const margin = margins.get(ref);
    if (margin === undefined) continue;
    const { mul, div, add } = opNamed(op).reach(
      inputs.map((input) => types.get(input) as TensorType),
      attrs,
    );
    const wanted = add >= GLOBAL_REACH.add ? Infinity : (margin * mul) / div + add;
    for (const input of inputs) margins.set(input, Math.max(margins.get(input) ?? 0, wanted));
  }
  return Math.max(0, ...graph.inputs.map(({ ref }) => margins.get(ref) ?? 0));
}

/** An input size that every stride and shuffle of a sensible network divides. */
const PROBE = 5040;

function extent(type: TensorType, sizes: Sizes): number[] {
  return type.shape.map((dim) => (isSymbolic(dim) ? evalDim({ ...dim, add: 0 }, sizes) : dim));
}
