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
  return {
    parameters: graph.params
      .filter(({ trainable }) => trainable)
      .reduce((sum, { type }) => sum + sizeOf(type.shape as number[]), 0),
    tensors: graph.params.length,
    convs: graph.nodes.filter((node) => node.op === 'conv2d').length,
    macsPerPixel: graph.nodes.reduce((sum, node) => sum + macsPerPixel(node, graph, types), 0),
    receptiveRadius: receptiveRadius(graph),
  };
}

/** Multiply-accumulates of a node for each pixel of the graph's input. */
export function macsPerPixel(
  { op, inputs, attrs, type }: Node,
  graph: Graph,
  types: ReadonlyMap<Ref, TensorType>,
): number {
  const inputTypes = inputs.map((ref) => types.get(ref) as TensorType);
  return opNamed(op).macs(inputTypes, attrs) * pixelRatio(type, graph);
}

/** Elements of a tensor (of one image) for each pixel of the graph's input; borders of unpadded convs not counted. */
function pixelRatio(type: TensorType, graph: Graph): number {
  const [, , ...input] = graph.inputs[0]?.type.shape ?? [];
  const elements = (dims: readonly Dim[]) =>
    dims.reduce<number>((product, dim) => product * (isSymbolic(dim) ? dim.mul / dim.div : dim), 1);
  return elements(type.shape.filter((dim) => !isSymbolic(dim) || dim.sym !== 'n')) / elements(input);
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
