// What a network costs, read off its unoptimized graph: the numbers papers quote.

import { evalDim, isSymbolic, type Sizes } from '../runtime/dims.js';
import type { Graph, TensorType } from './graph.js';
import { typesOf } from './graph.js';
import { opNamed } from './ops/registry.js';
import { sizeOf } from './tensor.js';

export interface Summary {
  /** Values in trainable tensors and running statistics. */
  readonly parameters: number;
  readonly tensors: number;
  readonly convs: number;
  /** Multiply-accumulates per pixel of the input (symbolic sizes), as the network is written. */
  readonly macsPerPixel: number;
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
  };
}

/** An input size that every stride and shuffle of a sensible network divides. */
const PROBE = 5040;

function extent(type: TensorType, sizes: Sizes): number[] {
  return type.shape.map((dim) => (isSymbolic(dim) ? evalDim({ ...dim, add: 0 }, sizes) : dim));
}
