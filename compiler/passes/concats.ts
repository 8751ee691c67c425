// Concats of concats. Nested, the gradient of a dense block accumulates on whole prefixes of its channels; flat, each
// concat says which of its operands lie side by side.

import type { Graph, Ref } from '../graph.js';
import type { Counted, Rule } from '../rewrite.js';

/** A concat that begins as an earlier one does takes that one as its first operand. */
export function nestConcats(graph: Graph): Counted {
  let count = 0;
  const known = new Map<string, Ref>();
  const nodes = graph.nodes.map((node) => {
    if (node.op !== 'concat') return node;
    const { inputs } = node;
    known.set(inputs.join(), node.ref);
    for (let length = inputs.length - 1; length > 1; length--) {
      const prefix = known.get(inputs.slice(0, length).join());
      if (prefix === undefined) continue;
      count++;
      return { ...node, inputs: [prefix, ...inputs.slice(length)] };
    }
    return node;
  });
  return { graph: { ...graph, nodes }, count };
}

const flattenConcat: Rule = {
  name: 'flatten-concat',
  apply(node, context) {
    if (node.op !== 'concat') return undefined;
    const parts = node.inputs.map((ref) => context.def(ref));
    if (!parts.some((part) => part?.op === 'concat')) return undefined;
    const inputs = node.inputs.flatMap((ref, i) => (parts[i]?.op === 'concat' ? parts[i].inputs : [ref]));
    return context.emit('concat', inputs, {}, node.loc);
  },
};

export const flatten: readonly Rule[] = [flattenConcat];
