// A graph as users of other tools would write it: convolutions with their bias, linear layers and batch norms as one layer
// each. `src` fuses these itself; the others are given their fastest words for it.

import { type Attrs, type Graph, type Node, type Ref, useCounts } from '../compiler/graph.js';
import { eliminateDead } from '../compiler/rewrite.js';

export interface Net {
  readonly inputs: readonly Ref[];
  readonly params: readonly NetParam[];
  readonly layers: readonly Layer[];
  readonly outputs: readonly Ref[];
}

export interface NetParam {
  readonly ref: Ref;
  /** In the file of weights. */
  readonly name: string;
  readonly shape: readonly number[];
}

export interface Layer {
  readonly ref: Ref;
  /** An op of the graph, or `conv`, `linear` and `batch_norm`: input, weight and perhaps bias. */
  readonly op: string;
  readonly inputs: readonly Ref[];
  readonly attrs: Attrs;
  /** 4 of an image, 1 of a value per channel, 0 of a scalar. */
  readonly rank: number;
}

/** `prefix` of the parameters' names in the file of weights. */
export function netOf(graph: Graph, prefix = ''): Net {
  const live = eliminateDead({ ...graph, updates: [] });
  const nodes = new Map(live.nodes.map((node) => [node.ref, node]));
  const uses = useCounts(live);
  const context: Context = {
    operand: (node, i, op) => {
      const found = node && nodes.get(node.inputs[i] ?? '');
      return found?.op === op ? found : undefined;
    },
    isUsedOnce: (ref) => uses.get(ref) === 1,
  };
  const whole = live.nodes.map(
    (node) => batchNorm(node, context) ?? withBias(node, context) ?? layerOf(node),
  );
  const { layers, used } = reach(whole, live.outputs);
  return {
    inputs: live.inputs.map(({ ref }) => ref),
    params: live.params
      .filter(({ ref }) => used.has(ref))
      .map(({ ref, type }) => ({ ref, name: prefix + ref.slice(1), shape: type.shape as number[] })),
    layers,
    outputs: live.outputs,
  };
}

interface Context {
  /** The node that makes the operand, where it is of that op. */
  operand(node: Node | undefined, i: number, op: string): Node | undefined;
  isUsedOnce(ref: Ref): boolean;
}

function layerOf({ ref, op, inputs, attrs, type }: Node): Layer {
  const [, , height, width] = type.shape;
  const isLinear = op === 'conv2d' && attrs.pad === 0 && height === 1 && width === 1;
  const name = op === 'conv2d' ? (isLinear ? 'linear' : 'conv') : op;
  return { ref, op: name, inputs, attrs, rank: type.shape.length };
}

function withBias(node: Node, { operand, isUsedOnce }: Context): Layer | undefined {
  const conv = node.op === 'add' ? operand(node, 0, 'conv2d') : undefined;
  const [, bias] = node.inputs;
  if (!conv || !bias?.startsWith('@') || !isUsedOnce(conv.ref)) return undefined;
  return { ...layerOf(conv), ref: node.ref, inputs: [...conv.inputs, bias] };
}

/** d = x - mean(x); d * (weight * rsqrt(mean(d^2) + eps)) + bias, as the language writes batch norm in training. */
function batchNorm(node: Node, { operand }: Context): Layer | undefined {
  if (node.op !== 'add') return undefined;
  const product = operand(node, 0, 'mul');
  const centred = operand(product, 0, 'sub');
  const factor = operand(product, 1, 'mul');
  const root = operand(factor, 1, 'rsqrt');
  const shifted = operand(root, 0, 'offset');
  const variance = operand(shifted, 0, 'reduce_mean');
  const mean = operand(centred, 1, 'reduce_mean');
  if (!centred || !factor || !shifted || !variance || mean?.attrs.keep !== 'channel') return undefined;
  const [x] = centred.inputs;
  const inputs = [x!, factor.inputs[0]!, node.inputs[1]!];
  return { ref: node.ref, op: 'batch_norm', inputs, attrs: { eps: shifted.attrs.by! }, rank: 4 };
}

/** The layers that the outputs need, and the operands of those: what others absorbed is needed no more. */
function reach(
  layers: readonly Layer[],
  outputs: readonly Ref[],
): { layers: Layer[]; used: ReadonlySet<Ref> } {
  const used = new Set(outputs);
  const kept = layers.toReversed().filter(({ ref, inputs }) => {
    if (!used.has(ref)) return false;
    for (const input of inputs) used.add(input);
    return true;
  });
  return { layers: kept.reverse(), used };
}
