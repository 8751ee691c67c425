// The backward pass, as a graph pass: reverse-mode differentiation that emits only graph ops, so that fusion, memory
// planning and kernels treat forward and backward alike. Runs on the unfused graph. What no wanted gradient needs is
// never emitted: no weight gradient of a frozen network, no input gradient for data.

import { internal } from '../diagnostics.js';
import type { Attrs, Graph, Node, Ref, TensorType } from './graph.js';
import { typesOf } from './graph.js';
import type { GradientContext } from './ops/op.js';
import { makeNode, opNamed } from './ops/registry.js';
import { eliminateDead } from './rewrite.js';

/**
 * `graph` must return one scalar, the loss. The result returns the loss followed by its gradients with respect to
 * `wrt` (parameters or inputs), in that order.
 */
export function differentiate(graph: Graph, wrt: readonly Ref[]): Graph {
  const [loss, ...rest] = graph.outputs;
  const types = typesOf(graph);
  if (loss === undefined || rest.length > 0) internal('differentiate takes a graph with one output');
  if (types.get(loss)?.shape.length !== 0) internal('differentiate takes a scalar loss');

  const needed = dependents(graph, wrt);
  const nodes: Node[] = [...graph.nodes];
  const type = (ref: Ref): TensorType => types.get(ref) ?? internal(`${ref} is not defined`);
  const emit = (op: string, inputs: readonly Ref[], attrs: Attrs = {}): Ref => {
    const node = makeNode({ ref: `%g${nodes.length}`, op, inputs, attrs }, type);
    nodes.push(node);
    types.set(node.ref, node.type);
    return node.ref;
  };

  const gradients = new Map<Ref, Ref>();
  const accumulate = (ref: Ref, gradient: Ref) => {
    const sum = gradients.get(ref);
    gradients.set(ref, sum === undefined ? gradient : emit('add', [sum, gradient]));
  };
  gradients.set(loss, emit('constant', [], { values: [1], shape: [] }));

  for (const node of graph.nodes.toReversed()) {
    const dy = gradients.get(node.ref);
    if (dy === undefined || !needed.has(node.ref)) continue;
    const rule = opNamed(node.op).gradient;
    if (rule === 'nodiff') internal(`${node.op} has no gradient; differentiate before fusing`);
    const context: GradientContext = { node, dy, wants: (i) => needed.has(node.inputs[i] ?? ''), emit, type };
    rule(context).forEach((gradient, i) => {
      const operand = node.inputs[i];
      if (gradient !== undefined && operand !== undefined && context.wants(i)) accumulate(operand, gradient);
    });
  }

  const outputs = wrt.map((ref) => gradients.get(ref) ?? internal(`the loss does not depend on ${ref}`));
  return eliminateDead({ ...graph, nodes, outputs: [loss, ...outputs] });
}

/** All refs that depend on one of `wrt`, and these themselves. */
function dependents(graph: Graph, wrt: readonly Ref[]): Set<Ref> {
  const set = new Set(wrt);
  for (const node of graph.nodes) if (node.inputs.some((ref) => set.has(ref))) set.add(node.ref);
  return set;
}
