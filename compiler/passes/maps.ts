// Chains of pointwise steps that need no memory of their own: a sum takes them with the elements that it reads, and a
// chain on one image is computed again in each kernel that reads it, if that spares the image altogether. So batch norm
// writes one image forward and one backward.

import { type Graph, type Node, type Ref, results, typesOf } from '../graph.js';
import { type EpilogueStep, epilogueOf, printStep, prologueOf } from '../ops/epilogue.js';
import { opNamed } from '../ops/registry.js';
import type { Counted, Rule } from '../rewrite.js';
import { COMMUTATIVE, MAX_BINDINGS } from './fuse.js';

/** What `node` does to its operand 0 before anything else: a map's steps, a sum's prologue. */
function stepsOn(node: Node): readonly EpilogueStep[] | undefined {
  if (node.op === 'map') return epilogueOf(node.attrs);
  return opNamed(node.op).prologue && prologueOf(node.attrs);
}

type Parts = Pick<Node, 'inputs' | 'attrs'>;

/** `node` with the steps of `map`, its operand 0, before its own; undefined where these are too many operands. */
function prefixed(node: Node, map: Node): Parts | undefined {
  const steps = stepsOn(node);
  const [, ...own] = node.inputs;
  const [x, ...others] = map.inputs as [Ref, ...Ref[]];
  const inputs = [x, ...own, ...others];
  if (!steps || inputs.length >= MAX_BINDINGS) return undefined;
  const before = epilogueOf(map.attrs).map(({ operand, ...step }) =>
    operand === undefined ? step : { ...step, operand: operand + own.length },
  );
  const key = node.op === 'map' ? 'epilogue' : 'prologue';
  return { inputs, attrs: { ...node.attrs, [key]: [...before, ...steps].map(printStep) } };
}

const intoSum: Rule = {
  name: 'prologue',
  apply(node, context) {
    const map = context.def(node.inputs[0] ?? '');
    if (!opNamed(node.op).prologue || map?.op !== 'map' || !context.usedOnce(map.ref)) return undefined;
    const { inputs, attrs } = prefixed(node, map) ?? {};
    return inputs && attrs && context.emit(node.op, inputs, attrs, node.loc);
  },
};

export const fuseSums: readonly Rule[] = [intoSum];

/** The same map with `ref` as its operand 0, which its first step allows if that is where `ref` is used. */
function headedBy(ref: Ref, node: Node): Node | undefined {
  const uses = node.inputs.filter((input) => input === ref).length;
  const at = node.inputs.indexOf(ref);
  const [first, ...rest] = node.op === 'map' ? epilogueOf(node.attrs) : [];
  if (uses !== 1) return undefined;
  if (at === 0) return node;
  if (first?.operand !== at || rest.some(({ operand }) => operand === at)) return undefined;
  const { swapped, ...step } = first;
  const turned = swapped || COMMUTATIVE.has(step.op) ? step : { ...step, swapped: true };
  const inputs = node.inputs.with(0, ref).with(at, node.inputs[0]!);
  return { ...node, inputs, attrs: { ...node.attrs, epilogue: [turned, ...rest].map(printStep) } };
}

/** Repeats maps of one image, and otherwise of vectors and scalars, in all that read them, where these are maps and sums. */
export function repeatMaps(graph: Graph): Counted {
  const types = typesOf(graph);
  const rank = (ref: Ref) => types.get(ref)!.shape.length;
  const nodes = new Map(graph.nodes.map((node) => [node.ref, node]));
  const users = new Map<Ref, Set<Ref>>();
  const use = (ref: Ref, by: Ref) => users.set(ref, (users.get(ref) ?? new Set()).add(by));
  for (const { ref, inputs } of graph.nodes) for (const input of inputs) use(input, ref);
  const kept = new Set(results(graph));
  let count = 0;
  for (const { ref } of graph.nodes.toReversed()) {
    const map = nodes.get(ref)!;
    if (map.op !== 'map' || kept.has(ref) || rank(ref) !== 4) continue;
    if (map.inputs.slice(1).some((other) => rank(other) > 1)) continue;
    const merged = [...(users.get(ref) ?? [])].map((by) => {
      const node = headedBy(ref, nodes.get(by)!);
      const parts = node && prefixed(node, map);
      return parts && { ...node, ...parts };
    });
    if (!merged.every((node) => node !== undefined)) continue;
    nodes.delete(ref);
    count++;
    for (const node of merged) {
      nodes.set(node.ref, node);
      for (const input of map.inputs) use(input, node.ref);
    }
    for (const input of map.inputs) users.get(input)!.delete(ref);
  }
  return { graph: { ...graph, nodes: [...nodes.values()] }, count };
}
