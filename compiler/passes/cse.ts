// Common subexpressions: two nodes of one op, operands and attributes are one node.

import { type Graph, type Node, type Ref, withResults } from '../graph.js';
import { type Counted, eliminateDead } from '../rewrite.js';

export function shareCommon(graph: Graph): Counted {
  const known = new Map<string, Ref>();
  const renamed = new Map<Ref, Ref>();
  const rename = (ref: Ref) => renamed.get(ref) ?? ref;
  const nodes = graph.nodes.flatMap((node) => {
    const inputs = node.inputs.map(rename);
    const key = keyOf(node, inputs);
    const first = known.get(key);
    if (first !== undefined) {
      renamed.set(node.ref, first);
      return [];
    }
    known.set(key, node.ref);
    return [{ ...node, inputs }];
  });
  return { graph: eliminateDead(withResults({ ...graph, nodes }, rename)), count: renamed.size };
}

function keyOf({ op, attrs }: Node, inputs: readonly Ref[]): string {
  const names = Object.keys(attrs).sort();
  return `${op}(${inputs.join()}) ${names.map((name) => `${name}=${JSON.stringify(attrs[name])}`).join()}`;
}
