// The graph: one small SSA list of nodes, each with exactly one result and a type. Spatial sizes stay symbolic,
// channel counts are numbers. Tensors are NCHW here; layouts are the plan's business. Text form: text.ts.

import type { Loc } from '../diagnostics.js';
import type { Dim } from '../runtime/dims.js';

export interface TensorType {
  readonly shape: readonly Dim[];
}

/** `%x` an input, `%12` a node's result, `@conv.weight` a parameter. */
export type Ref = string;

export type AttrValue = number | string | boolean | readonly number[] | readonly string[];
export type Attrs = Readonly<Record<string, AttrValue>>;

export interface Node {
  /** `%12` */
  readonly ref: Ref;
  readonly op: string;
  readonly inputs: readonly Ref[];
  readonly attrs: Attrs;
  readonly type: TensorType;
  /** The `.sr` text this came from. */
  readonly loc?: Loc;
}

export interface Input {
  readonly ref: Ref;
  readonly type: TensorType;
}

/** A tensor of the checkpoint; its ref without `@` is its name in weight files. */
export interface Param {
  readonly ref: Ref;
  readonly type: TensorType;
  readonly init: Init;
  /** False for running statistics: saved in checkpoints, never given a gradient. */
  readonly trainable: boolean;
}

/**
 * How training starts: `torch` is PyTorch's default (kaiming-uniform, a = sqrt 5, for weights; the matching uniform
 * for biases, which need their weight's fan-in), `kaiming` is kaiming-normal (fan-in, gain sqrt 2) times `scale`
 * (BasicSR's default_init_weights), `constant` is `value`, `unit` is a normal random vector of length 1.
 */
export type Init =
  | { readonly kind: 'torch'; readonly fanIn: number }
  | { readonly kind: 'kaiming'; readonly fanIn: number; readonly scale: number }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'unit' };

/** The new value of a parameter after a run of the graph: running statistics of batch norm, power iterations. */
export interface Update {
  readonly param: Ref;
  readonly value: Ref;
}

export interface Graph {
  readonly name: string;
  readonly inputs: readonly Input[];
  readonly params: readonly Param[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly Ref[];
  /** At most one per parameter, all made after the nodes have run. None outside of training. */
  readonly updates: readonly Update[];
}

/** The type of every ref of `graph`. */
export function typesOf(graph: Graph): Map<Ref, TensorType> {
  const types = new Map<Ref, TensorType>();
  for (const value of [...graph.inputs, ...graph.params, ...graph.nodes]) types.set(value.ref, value.type);
  return types;
}

/** The refs for whose sake a graph is run. */
export function results(graph: Graph): Ref[] {
  return [...graph.outputs, ...graph.updates.map(({ value }) => value)];
}

/** `graph` with its results renamed. */
export function withResults(graph: Graph, rename: (ref: Ref) => Ref): Graph {
  return {
    ...graph,
    outputs: graph.outputs.map(rename),
    updates: graph.updates.map(({ param, value }) => ({ param, value: rename(value) })),
  };
}

/** How often each ref is used: as an operand of a node whose own result is, or as a result of the graph. */
export function useCounts(graph: Graph): Map<Ref, number> {
  const counts = new Map<Ref, number>();
  const count = (ref: Ref) => counts.set(ref, (counts.get(ref) ?? 0) + 1);
  results(graph).forEach(count);
  for (const { ref, inputs } of graph.nodes.toReversed()) if (counts.has(ref)) inputs.forEach(count);
  return counts;
}
