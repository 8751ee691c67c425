// The passes in their order, read aloud. Each says what it did; the verifier runs after each.

import type { Graph } from '../graph.js';
import { eliminateDead, type Rule, rewrite } from '../rewrite.js';
import { verify } from '../verify.js';
import { shareCommon } from './cse.js';
import { fuseConv, fuseMap } from './fuse.js';
import { flatten, foldAffine, phases } from './simplify.js';

export interface PassLog {
  readonly pass: string;
  /** `23 x fold-channel-scale`, or `(unchanged)`. */
  readonly did: string;
}

type Pass = (graph: Graph) => { graph: Graph; did: string };

const INFERENCE: readonly (readonly [name: string, pass: Pass])[] = [
  ['drop unused nodes', dropUnused],
  ['share common subexpressions', shareSubexpressions],
  ['flatten concats', rules(flatten)],
  ['fold batch norm into convs', rules(foldAffine)],
  ['nearest x2 + conv3x3 as four 2x2 convs', rules(phases)],
  ['fuse into conv epilogues and stores', rules(fuseConv)],
  ['fuse pointwise chains', rules(fuseMap)],
];

/** Optimizes a network for inference: parameters are constants. `onPass` sees the graph after each pass. */
export function optimize(
  graph: Graph,
  onPass?: (name: string, graph: Graph) => void,
): { graph: Graph; log: PassLog[] } {
  const log: PassLog[] = [];
  let current = verify(graph, 'lowering');
  for (const [name, pass] of INFERENCE) {
    const result = pass(current);
    current = verify(result.graph, name);
    log.push({ pass: name, did: result.did });
    onPass?.(name, current);
  }
  return { graph: current, log };
}

function rules(table: readonly Rule[]): Pass {
  return (graph) => {
    const { graph: result, applied } = rewrite(graph, table);
    return { graph: result, did: report([...applied].map(([rule, times]) => `${times} x ${rule}`)) };
  };
}

function dropUnused(graph: Graph): { graph: Graph; did: string } {
  const result = eliminateDead(graph);
  const dropped = graph.nodes.length - result.nodes.length;
  return { graph: result, did: report(dropped ? [`${dropped} nodes`] : []) };
}

function shareSubexpressions(graph: Graph): { graph: Graph; did: string } {
  const { graph: result, shared } = shareCommon(graph);
  return { graph: eliminateDead(result), did: report(shared ? [`${shared} nodes`] : []) };
}

function report(parts: readonly string[]): string {
  return parts.length ? parts.join(', ') : '(unchanged)';
}
