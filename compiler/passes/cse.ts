// Common subexpressions: two nodes of one op, operands and attributes are one node.

import { type Graph, type Ref, withResults } from '../graph.js';

export function shareCommon(graph: Graph): { graph: Graph; shared: number } {
  const known = new Map<string, Ref>();
  const renamed = new Map<Ref, Ref>();
  const rename = (ref: Ref) => renamed.get(ref) ?? ref;
  const nodes = graph.nodes.flatMap((node) => {
    const inputs = node.inputs.map(rename);
    const key = JSON.stringify([node.op, inputs, Object.entries(node.attrs).sort()]);
    const first = known.get(key);
    if (first !== undefined) {
      renamed.set(node.ref, first);
      return [];
    }
    known.set(key, node.ref);
    return [{ ...node, inputs }];
  });
  return { graph: withResults({ ...graph, nodes }, rename), shared: renamed.size };
}
