// What a network costs, read off its unoptimized graph: the numbers papers quote.

import { type Dim, isSymbolic } from '../runtime/dims.js';
import type { Graph, Node, Ref, TensorType } from './graph.js';
import { typesOf } from './graph.js';
import { GLOBAL_REACH } from './ops/op.js';
import { opNamed } from './ops/registry.js';
import { sizeOf } from './tensor.js';

export interface Summary {
  /** Values that training changes; running statistics are not among them. */
  readonly parameters: number;
  /** Tensors of a checkpoint, running statistics included. */
  readonly tensors: number;
  readonly convs: number;
  /** Multiply-accumulates per pixel of the input (symbolic sizes), as the network is written. */
  readonly macsPerPixel: number;
  /** Pixels of the input between an output pixel and the farthest one it depends on; Infinity for global ops. */
  readonly receptiveRadius: number;
}

export function summarize(graph: Graph): Summary {
  const types = typesOf(graph);
  const macs = macsPerPixel(graph, types);
  return {
    parameters: graph.params
      .filter(({ trainable }) => trainable)
      .reduce((sum, { type }) => sum + sizeOf(type.shape as number[]), 0),
    tensors: graph.params.length,
    convs: graph.nodes.filter((node) => node.op === 'conv2d').length,
    macsPerPixel: graph.nodes.reduce((sum, node) => sum + macs(node), 0),
    receptiveRadius: receptiveRadius(graph, types),
  };
}

/** Multiply-accumulates of a node for each pixel of the graph's input. */
export function macsPerPixel(graph: Graph, types: ReadonlyMap<Ref, TensorType>): (node: Node) => number {
  const [, , ...input] = graph.inputs[0]?.type.shape ?? [];
  const pixels = elementsOf(input);
  return ({ op, inputs, attrs, type }) => {
    const inputTypes = inputs.map((ref) => types.get(ref) as TensorType);
    const macs = opNamed(op).macs(inputTypes, attrs);
    return macs && macs * (elementsOf(type.shape) / pixels);
  };
}

/** Elements of a tensor of one image, per pixel where sizes are symbols; borders of unpadded convs not counted. */
function elementsOf(dims: readonly Dim[]): number {
  return dims.reduce<number>((product, dim) => {
    if (!isSymbolic(dim)) return product * dim;
    return dim.sym === 'n' ? product : product * (dim.mul / dim.div);
  }, 1);
}

/** Follows the margin around one pixel back to the inputs, in exact fractions of pixels. */
function receptiveRadius(graph: Graph, types: ReadonlyMap<Ref, TensorType>): number {
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
