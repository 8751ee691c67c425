// The forward pass of a training step, cut into blocks where little crosses. A block that is recomputed keeps what
// crosses its borders and nothing within.

import { type Graph, type Node, type Ref, type TensorType, typesOf } from '../graph.js';
import { layoutsOf } from '../layout.js';
import { opNamed } from '../ops/registry.js';
import { sizeOf } from '../tensor.js';

export interface ForwardPass {
  /** Of the whole step. */
  readonly nodes: readonly Node[];
  readonly types: ReadonlyMap<Ref, TensorType>;
  readonly places: ReadonlyMap<Ref, number>;
  readonly forward: ReadonlySet<Ref>;
  /** Elements of the images that it makes. Statistics and weights are small, and kept. */
  readonly sizes: ReadonlyMap<Ref, number>;
  /** The place of the last node of the forward pass that uses a value. */
  readonly lastUse: ReadonlyMap<Ref, number>;
  /** What the backward pass uses. */
  readonly kept: ReadonlySet<Ref>;
}

export interface Block {
  /** The places of its first and last node. */
  readonly first: number;
  readonly last: number;
  /** Elements that need not be kept. */
  readonly saved: number;
  /** What it costs to compute again. */
  readonly work: number;
}

export function forwardPass(graph: Graph, results: readonly Ref[]): ForwardPass {
  const { nodes } = graph;
  const forward = new Set<Ref>(results);
  for (const { ref, inputs } of nodes.toReversed()) {
    if (forward.has(ref)) for (const input of inputs) forward.add(input);
  }
  const types = typesOf(graph);
  const layouts = layoutsOf(graph);
  const sizes = new Map<Ref, number>();
  const lastUse = new Map<Ref, number>();
  const kept = new Set<Ref>();
  nodes.forEach(({ ref, inputs, type }, place) => {
    if (!forward.has(ref)) {
      for (const input of inputs) kept.add(input);
      return;
    }
    for (const input of inputs) lastUse.set(input, place);
    if (layouts.get(ref) === 'image') sizes.set(ref, sizeOf(type.shape as number[]));
  });
  for (const ref of results) lastUse.set(ref, nodes.length);
  const places = new Map(nodes.map(({ ref }, i) => [ref, i]));
  return { nodes, types, places, forward, sizes, lastUse, kept };
}

/** Whether a value is made in a block and used by nothing outside but the backward pass. */
export function isWithin(
  { places, sizes, lastUse }: ForwardPass,
  ref: Ref,
  { first, last }: Border,
): boolean {
  const place = places.get(ref);
  if (place === undefined || !sizes.has(ref)) return false;
  return place >= first && (lastUse.get(ref) ?? place) <= last;
}

type Border = Pick<Block, 'first' | 'last'>;

/** About `cuts` blocks of equal shares of what is kept. */
export function cut(pass: ForwardPass, cuts: number): Block[] {
  const { nodes, sizes, places, kept } = pass;
  const made = [...sizes.keys()];
  const total = made.reduce((sum, ref) => sum + (kept.has(ref) ? sizes.get(ref)! : 0), 0);
  const borders = new Map<number, { place: number; crossing: number }>();
  const ends = new Map<number, number>();
  let [crossing, sum] = [0, 0];
  for (const ref of made) {
    const [place, size] = [places.get(ref)!, sizes.get(ref)!];
    const end = pass.lastUse.get(ref) ?? place;
    ends.set(end, (ends.get(end) ?? 0) + size);
    for (const [at, ended] of ends) {
      if (at > place) continue;
      crossing -= ended;
      ends.delete(at);
    }
    crossing += size;
    if (kept.has(ref)) sum += size;
    // Around the end of each share, the place after which the least crosses.
    const share = Math.round((sum / total) * cuts);
    const known = borders.get(share);
    if (!known || crossing < known.crossing) borders.set(share, { place, crossing });
  }
  const lasts = [...borders.values()].map(({ place }) => place);
  return lasts.flatMap((last, i) => {
    const border = { first: (lasts[i - 1] ?? -1) + 1, last };
    const own = nodes.slice(border.first, last + 1).filter(({ ref }) => isWithin(pass, ref, border));
    const saved = own.reduce((elements, { ref }) => elements + (kept.has(ref) ? sizes.get(ref)! : 0), 0);
    const work = own.reduce((all, node) => all + workOf(node, pass), 0);
    return saved > 0 ? [{ ...border, saved, work }] : [];
  });
}

/** What writing an element costs, in multiply-accumulates. */
const COST_PER_ELEMENT = 8;

function workOf({ ref, op, inputs, attrs }: Node, { sizes, types }: ForwardPass): number {
  const macs = opNamed(op).macs(
    inputs.map((input) => types.get(input)!),
    attrs,
  );
  return sizes.get(ref)! * (macs + COST_PER_ELEMENT);
}
