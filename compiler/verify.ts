// The verifier, run after every pass: operands are defined before use, once, and every type is what the op's shape
// rule says. A failure is our bug, so it is reported as internal, with the pass and the node.

import { internal } from '../diagnostics.js';
import type { Graph, Ref, TensorType } from './graph.js';
import { opNamed } from './ops/registry.js';
import { printType, sameShape } from './ops/types.js';
import { printNode } from './text.js';

export function verify(graph: Graph, after: string): Graph {
  const types = new Map<Ref, TensorType>();
  const define = (ref: Ref, type: TensorType) => {
    if (types.has(ref)) internal(`${after}: ${ref} is defined twice in ${graph.name}`);
    types.set(ref, type);
  };
  const use = (ref: Ref, by: () => string) =>
    types.get(ref) ?? internal(`${after}: ${ref} is not defined before ${by()}`);

  for (const { ref, type } of [...graph.inputs, ...graph.params]) define(ref, type);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((ref) => use(ref, () => printNode(node)));
    const type = opNamed(node.op).shape(inputs, node.attrs);
    if (!sameShape(type.shape, node.type.shape)) {
      internal(`${after}: ${printNode(node)} should have type ${printType(type)}`);
    }
    define(node.ref, node.type);
  }
  for (const ref of graph.outputs) use(ref, () => 'return');
  for (const { param, value } of graph.updates) {
    const by = () => `the update of ${param}`;
    const [from, to] = [use(value, by), use(param, by)];
    if (!sameShape(from.shape, to.shape)) internal(`${after}: ${by()} has type ${printType(from)}`);
  }
  return graph;
}
