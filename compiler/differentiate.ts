// The backward pass, as a graph pass: reverse-mode differentiation that emits only graph ops, so that fusion, memory
// planning and kernels treat forward and backward alike. Runs on the unfused graph. What no wanted gradient needs is
// never emitted: no weight gradient of a frozen network, no input gradient for data.

import { internal } from '../diagnostics.js';
import type { Attrs, Graph, Node, Ref, TensorType } from './graph.js';
import { typesOf } from './graph.js';
import { makeNode, opNamed } from './ops/registry.js';
import { eliminateDead } from './rewrite.js';

export interface Gradients {
  /** The graph with nodes at its end; its refs, results and updates are as they were. */
  readonly graph: Graph;
  /** Of those of `wrt` that the loss depends on. */
  readonly gradients: ReadonlyMap<Ref, Ref>;
}

/** Appends the gradients of the scalar `loss` with respect to `wrt`, times the scalar `seed` (1 where there is none). */
export function appendGradients(graph: Graph, loss: Ref, wrt: readonly Ref[], seed?: Ref): Gradients {
  const types = typesOf(graph);
  if (types.get(loss)?.shape.length !== 0) internal('differentiate takes a scalar loss');

  const needed = dependents(graph, wrt);
  const nodes: Node[] = [...graph.nodes];
  const type = (ref: Ref): TensorType => types.get(ref) ?? internal(`${ref} is not defined`);
  const emitter =
    ({ loc }: Partial<Node>) =>
    (op: string, inputs: readonly Ref[], attrs: Attrs = {}): Ref => {
      const node = makeNode({ ref: `%g${nodes.length}`, op, inputs, attrs, ...(loc && { loc }) }, type);
      nodes.push(node);
      types.set(node.ref, node.type);
      return node.ref;
    };

  const gradients = new Map<Ref, Ref>();
  gradients.set(loss, seed ?? emitter({})('constant', [], { values: [1], shape: [] }));
  for (const node of graph.nodes.toReversed()) {
    const dy = gradients.get(node.ref);
    if (dy === undefined || !needed.has(node.ref)) continue;
    const rule = opNamed(node.op).gradient;
    if (typeof rule === 'string') return internal(`${node.op} has no gradient; differentiate before fusing`);
    const emit = emitter(node);
    const wants = (i: number) => needed.has(node.inputs[i] ?? '');
    rule({ node, dy, wants, emit, type }).forEach((gradient, i) => {
      const operand = node.inputs[i];
      if (gradient === undefined || operand === undefined || !wants(i)) return;
      const sum = gradients.get(operand);
      gradients.set(operand, sum === undefined ? gradient : emit('add', [sum, gradient]));
    });
  }
  const wanted = wrt.flatMap((ref) => {
    const gradient = gradients.get(ref);
    return gradient === undefined ? [] : [[ref, gradient] as const];
  });
  return { graph: { ...graph, nodes }, gradients: new Map(wanted) };
}

/**
 * `graph` must return one scalar, the loss. The result returns the loss followed by its gradients with respect to
 * `wrt` (parameters or inputs), in that order.
 */
export function differentiate(graph: Graph, wrt: readonly Ref[]): Graph {
  const [loss, ...rest] = graph.outputs;
  if (loss === undefined || rest.length > 0) internal('differentiate takes a graph with one output');
  const { graph: extended, gradients } = appendGradients(graph, loss, wrt);
  const outputs = wrt.map((ref) => gradients.get(ref) ?? internal(`the loss does not depend on ${ref}`));
  return eliminateDead({ ...extended, outputs: [loss, ...outputs] });
}

/** All refs through which a gradient flows to one of `wrt`, and these themselves. */
function dependents(graph: Graph, wrt: readonly Ref[]): Set<Ref> {
  const set = new Set(wrt);
  for (const { ref, op, inputs } of graph.nodes) {
    if (opNamed(op).gradient !== 'none' && inputs.some((input) => set.has(input))) set.add(ref);
  }
  return set;
}
