// Pointwise work on some channels of what a kernel makes: a step of its epilogue for that range. So the gradient of an
// activation in a dense block is masked where a conv adds up the gradient of all that the block has joined.

import { type Graph, type Node, type Ref, results } from '../graph.js';
import { epilogueOf, printStep } from '../ops/epilogue.js';
import { isPointwise, pointwiseAttr } from '../ops/pointwise.js';
import { sameShape } from '../ops/types.js';
import type { Counted } from '../rewrite.js';
import { COMMUTATIVE, isKernel, MAX_BINDINGS } from './fuse.js';

type Range = readonly [from: number, to: number];

/** A pointwise node that reads a slice of a kernel's result at operand `at`. */
interface Found {
  readonly node: Node;
  readonly at: number;
  readonly slice: Node;
  readonly head: Node;
}

/** Makes slices of such nodes: of a result that the kernel has changed, if none but slices, of other channels, read it. */
export function fuseRanges(graph: Graph): Counted {
  const nodes = new Map(graph.nodes.map((node) => [node.ref, node]));
  const places = new Map(graph.nodes.map(({ ref }, place) => [ref, place]));
  const readers = new Map<Ref, Set<Ref>>();
  for (const { ref, inputs } of graph.nodes) {
    for (const input of inputs) readers.set(input, (readers.get(input) ?? new Set()).add(ref));
  }
  const kept = new Set(results(graph));
  const place = (ref: Ref | undefined) => places.get(ref ?? '') ?? -1;
  const fits = ({ node, at, slice, head }: Found) => {
    const isOther = (ref: Ref) => ref === slice.ref || isApart(nodes.get(ref)!, slice);
    return (
      [node, slice, head].every(({ ref }) => !kept.has(ref)) &&
      readers.get(slice.ref)!.size === 1 &&
      [...readers.get(head.ref)!].every(isOther) &&
      place(node.inputs[1 - at]) < place(head.ref) &&
      sameShape(node.type.shape, slice.type.shape)
    );
  };
  let count = 0;
  for (const { ref } of graph.nodes) {
    const found = findSlice(nodes, nodes.get(ref));
    const into = found && fits(found) && withStep(found);
    if (!into) continue;
    const { node, at, slice, head } = found;
    nodes.set(head.ref, into);
    nodes.set(ref, { ...slice, ref });
    nodes.delete(slice.ref);
    readers.get(head.ref)!.add(ref).delete(slice.ref);
    const other = readers.get(node.inputs[1 - at] ?? '');
    other?.add(head.ref).delete(ref);
    count++;
  }
  return { graph: { ...graph, nodes: [...nodes.values()] }, count };
}

function findSlice(nodes: ReadonlyMap<Ref, Node>, node: Node | undefined): Found | undefined {
  if (!node || !isPointwise(node.op)) return undefined;
  for (const [at, ref] of node.inputs.entries()) {
    const slice = nodes.get(ref);
    const head = nodes.get(slice?.inputs[0] ?? '');
    if (slice?.op === 'slice' && head && isKernel(head.op)) return { node, at, slice, head };
  }
  return undefined;
}

function rangeOf({ attrs }: Node): Range {
  return [Number(attrs.from), Number(attrs.to)];
}

function isApart(node: Node, slice: Node): boolean {
  const [[from, to], [first, end]] = [rangeOf(node), rangeOf(slice)];
  return node.op === 'slice' && (to <= first || end <= from);
}

/** The kernel with the pointwise node as the last step of its epilogue. */
function withStep({ node, at, slice, head }: Found): Node | undefined {
  const channels = rangeOf(slice);
  const attr = pointwiseAttr(node.op, node.attrs);
  const other = node.inputs[1 - at];
  const inputs = other === undefined ? head.inputs : [...head.inputs, other];
  if (inputs.length >= MAX_BINDINGS || channels.some((channel) => channel % 4 !== 0)) return undefined;
  const step = {
    op: node.op,
    channels,
    ...(attr !== undefined && { attr }),
    ...(other !== undefined && { operand: head.inputs.length }),
    ...(other !== undefined && at === 1 && !COMMUTATIVE.has(node.op) && { swapped: true }),
  };
  const epilogue = [...epilogueOf(head.attrs), step].map(printStep);
  return { ...head, inputs, attrs: { ...head.attrs, epilogue } };
}
