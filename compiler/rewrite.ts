// The rewriting engine under the passes. A rule looks at one node, in the graph as rewritten so far, and gives the
// ref that replaces it (emitting new nodes on the way) or undefined to leave it. The graph is walked in order and
// rebuilt until no rule applies; what nothing uses any more is dropped.

import { internal, type Loc } from '../diagnostics.js';
import { isConstantOp } from '../runtime/constants.js';
import type { Attrs, Graph, Node, Ref, TensorType } from './graph.js';
import { results, useCounts, withResults } from './graph.js';
import { makeNode } from './ops/registry.js';

export interface RuleContext {
  /** The node that makes `ref`, or undefined for inputs and parameters. */
  def(ref: Ref): Node | undefined;
  type(ref: Ref): TensorType;
  /** Whether `ref` has exactly one use (an output of the graph counts as one). */
  usedOnce(ref: Ref): boolean;
  /** Whether `ref` depends on constant parameters alone. */
  isConstant(ref: Ref): boolean;
  emit(op: string, inputs: readonly Ref[], attrs: Attrs, loc?: Loc): Ref;
}

export interface Rule {
  readonly name: string;
  apply(node: Node, context: RuleContext): Ref | undefined;
}

const NONE: ReadonlySet<Ref> = new Set();

/**
 * Rewrites until nothing changes; `applied` counts the applications by rule name. `residents` are the parameters that
 * change from run to run: they are no constants.
 */
export function rewrite(
  graph: Graph,
  rules: readonly Rule[],
  residents: ReadonlySet<Ref> = NONE,
): { graph: Graph; applied: Map<string, number> } {
  const applied = new Map<string, number>();
  let current = eliminateDead(graph);
  for (let round = 0; ; round++) {
    if (round > 100) internal(`rules ${rules.map((r) => r.name).join(', ')} do not come to an end`);
    const before = total(applied);
    current = eliminateDead(rewriteOnce(current, rules, residents, applied));
    if (total(applied) === before) return { graph: current, applied };
  }
}

function total(applied: ReadonlyMap<string, number>): number {
  return [...applied.values()].reduce((a, b) => a + b, 0);
}

function rewriteOnce(
  graph: Graph,
  rules: readonly Rule[],
  residents: ReadonlySet<Ref>,
  applied: Map<string, number>,
): Graph {
  const uses = useCounts(graph);
  const nodes: Node[] = [];
  const defs = new Map<Ref, Node>();
  const types = new Map<Ref, TensorType>();
  const constants = new Set<Ref>(graph.params.map(({ ref }) => ref).filter((ref) => !residents.has(ref)));
  const renamed = new Map<Ref, Ref>();
  // How often a rebuilt ref will be used, counted in the graph being read.
  const usesOfNew = new Map<Ref, number>();
  for (const { ref, type } of [...graph.inputs, ...graph.params]) {
    types.set(ref, type);
    usesOfNew.set(ref, uses.get(ref) ?? 0);
  }
  const type = (ref: Ref) => types.get(ref) ?? internal(`${ref} is not defined`);

  const append = (op: string, inputs: readonly Ref[], attrs: Attrs, loc?: Loc): Ref => {
    const ref = `%${nodes.length}`;
    const node = makeNode({ ref, op, inputs, attrs, ...(loc && { loc }) }, type);
    nodes.push(node);
    defs.set(ref, node);
    types.set(ref, node.type);
    // A constant op without operands (a literal vector) is constant too.
    if (isConstantOp(op) && inputs.every((input) => constants.has(input))) constants.add(ref);
    return ref;
  };
  const context: RuleContext = {
    def: (ref) => defs.get(ref),
    type,
    usedOnce: (ref) => usesOfNew.get(ref) === 1,
    isConstant: (ref) => constants.has(ref),
    emit: append,
  };

  for (const old of graph.nodes) {
    const inputs = old.inputs.map((ref) => renamed.get(ref) ?? ref);
    const node = { ...old, inputs };
    let result: Ref | undefined;
    for (const rule of rules) {
      result = rule.apply(node, context);
      if (result !== undefined) {
        applied.set(rule.name, (applied.get(rule.name) ?? 0) + 1);
        break;
      }
    }
    result ??= append(old.op, inputs, old.attrs, old.loc);
    renamed.set(old.ref, result);
    usesOfNew.set(result, (usesOfNew.get(result) ?? 0) + (uses.get(old.ref) ?? 0));
  }
  return withResults({ ...graph, nodes }, (ref) => renamed.get(ref) ?? ref);
}

/** Drops nodes whose result is not needed and numbers the rest from %0. Inputs and parameters stay declared. */
export function eliminateDead(graph: Graph): Graph {
  const live = new Set<Ref>(results(graph));
  for (const node of graph.nodes.toReversed()) {
    if (live.has(node.ref)) for (const ref of node.inputs) live.add(ref);
  }
  const renamed = new Map<Ref, Ref>();
  const rename = (ref: Ref) => renamed.get(ref) ?? ref;
  const nodes = graph.nodes
    .filter((node) => live.has(node.ref))
    .map((node, i) => {
      renamed.set(node.ref, `%${i}`);
      return { ...node, ref: `%${i}`, inputs: node.inputs.map(rename) };
    });
  return withResults({ ...graph, nodes }, rename);
}
