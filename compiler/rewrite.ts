// The rewriting engine under the passes. A rule looks at one node, in the graph as rewritten so far, and gives the
// ref that replaces it (emitting new nodes on the way) or undefined to leave it. The graph is walked in order until no
// rule applies; what nothing uses any more is dropped. Nodes that no rule concerns stay the objects they are, and a
// graph that nothing changes stays that graph: most rounds find little to do.

import { internal, type Loc } from '../diagnostics.js';
import { isConstantOp } from '../runtime/constants.js';
import type { Attrs, Graph, Node, Ref, TensorType } from './graph.js';
import { useCounts, withResults } from './graph.js';
import { makeNode } from './ops/registry.js';

export interface RuleContext {
  /** The node that makes `ref`, or undefined for inputs and parameters. */
  def(ref: Ref): Node | undefined;
  type(ref: Ref): TensorType;
  /** Where the node that makes `ref` stands among the others. */
  place(ref: Ref): number;
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

/** What a pass over the whole graph gives. */
export interface Counted {
  readonly graph: Graph;
  /** How much it changed. */
  readonly count: number;
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
  const given = new Map([...graph.inputs, ...graph.params].map(({ ref, type }) => [ref, type]));
  const constants = new Set(graph.params.flatMap(({ ref }) => (residents.has(ref) ? [] : [ref])));
  let current = graph;
  for (let round = 0; ; round++) {
    if (round > 100) internal(`rules ${rules.map((r) => r.name).join(', ')} do not come to an end`);
    const next = rewriteOnce(current, rules, { given, constants, round }, applied);
    if (next === current) return { graph: eliminateDead(current), applied };
    current = next;
  }
}

interface Known {
  /** Types of inputs and parameters. */
  readonly given: ReadonlyMap<Ref, TensorType>;
  /** Refs that depend on constant parameters alone. */
  readonly constants: Set<Ref>;
  readonly round: number;
}

function rewriteOnce(
  graph: Graph,
  rules: readonly Rule[],
  { given, constants, round }: Known,
  applied: Map<string, number>,
): Graph {
  // What is not used is dead. Of what a rule emits only the replacement is counted: as often as what it replaces.
  const uses = useCounts(graph);
  const nodes: Node[] = [];
  const places = new Map<Ref, number>();
  const renamed = new Map<Ref, Ref>();
  const rename = (ref: Ref) => renamed.get(ref) ?? ref;
  const def = (ref: Ref) => nodes[places.get(ref) ?? -1];
  const type = (ref: Ref) => given.get(ref) ?? def(ref)?.type ?? internal(`${ref} is not defined`);

  const append = (node: Node) => {
    places.set(node.ref, nodes.length);
    nodes.push(node);
    // A constant op without operands (a literal vector) is constant too.
    if (isConstantOp(node.op) && node.inputs.every((input) => constants.has(input))) constants.add(node.ref);
  };
  const context: RuleContext = {
    def,
    type,
    place: (ref) => places.get(ref) ?? internal(`${ref} is no node`),
    usedOnce: (ref) => uses.get(ref) === 1,
    isConstant: (ref) => constants.has(ref),
    emit(op, inputs, attrs, loc) {
      const ref = `%${round}.${nodes.length}`;
      append(makeNode({ ref, op, inputs, attrs, ...(loc && { loc }) }, type));
      return ref;
    },
  };

  for (const old of graph.nodes) {
    if (!uses.has(old.ref)) continue;
    const isMoved = old.inputs.some((ref) => renamed.has(ref));
    const node = isMoved ? { ...old, inputs: old.inputs.map(rename) } : old;
    let result: Ref | undefined;
    for (const rule of rules) {
      result = rule.apply(node, context);
      if (result === undefined) continue;
      applied.set(rule.name, (applied.get(rule.name) ?? 0) + 1);
      renamed.set(old.ref, result);
      uses.set(result, (uses.get(result) ?? 0) + (uses.get(old.ref) ?? 0));
      break;
    }
    if (result === undefined) append(node);
  }
  return renamed.size === 0 ? graph : withResults({ ...graph, nodes }, rename);
}

/** Drops nodes whose result is not needed and numbers the rest from %0. Inputs and parameters stay declared. */
export function eliminateDead(graph: Graph): Graph {
  const uses = useCounts(graph);
  const live = graph.nodes.filter(({ ref }) => uses.has(ref));
  if (live.length === graph.nodes.length && live.every(({ ref }, i) => ref === `%${i}`)) return graph;
  const renamed = new Map<Ref, Ref>();
  const rename = (ref: Ref) => renamed.get(ref) ?? ref;
  const nodes = live.map((node, i) => {
    const [ref, inputs] = [`%${i}`, node.inputs.map(rename)];
    renamed.set(node.ref, ref);
    return { ...node, ref, inputs };
  });
  return withResults({ ...graph, nodes }, rename);
}
