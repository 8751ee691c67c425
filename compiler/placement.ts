// Copies that need not be made. A concat is a buffer, and each operand that can be is written straight into its channel
// range, so a dense block is one buffer of channel slabs; concats that are a range of a larger one (the earlier steps of
// the same dense block) live inside it. A slice is a range of its operand, which is how gradients leave a dense block.

import type { Graph, Node, Ref } from './graph.js';
import { opNamed } from './ops/registry.js';
import { image } from './ops/types.js';

export interface Home {
  /** The concat whose buffer this value lives in. */
  readonly slab: Ref;
  readonly offset: number;
}

/** A value that is a channel range of another. */
export interface Alias {
  readonly of: Ref;
  readonly offset: number;
}

export interface Placement {
  /** Values that live inside a slab; all others but aliases have a buffer of their own. */
  readonly homes: ReadonlyMap<Ref, Home>;
  /** Operand positions of each slab that must be copied in. */
  readonly copies: ReadonlyMap<Ref, readonly number[]>;
  /** In order: what an alias refers to comes before it. */
  readonly aliases: ReadonlyMap<Ref, Alias>;
}

export function place(graph: Graph): Placement {
  const homes = new Map<Ref, Home>();
  const copies = new Map<Ref, readonly number[]>();
  const channels = new Map<Ref, number>();
  for (const { ref, type } of [...graph.inputs, ...graph.nodes]) {
    if (type.shape.length === 4) channels.set(ref, image(type, 'concat').c);
  }
  const concats = graph.nodes.filter((node) => node.op === 'concat');
  const ports = new Set<Ref>([...graph.inputs.map((input) => input.ref), ...graph.outputs]);
  const aliases = aliasesOf(graph, channels, new Set(graph.outputs));
  // Values that nothing may move: the host writes inputs and reads outputs; a slab has its own buffer; an alias lies
  // where its operand does; a vector is bound whole.
  const vectors = graph.nodes.flatMap(({ op, inputs }) => (op === 'from_pixel' ? inputs : []));
  const fixed = new Set<Ref>([
    ...ports,
    ...concats.map((concat) => concat.ref),
    ...aliases.keys(),
    ...vectors,
  ]);

  concats.sort((a, b) => b.inputs.length - a.inputs.length || order(a, b));
  for (const concat of concats) {
    const range = ports.has(concat.ref) ? undefined : existingRange(concat, homes, channels);
    if (range) {
      homes.set(concat.ref, range);
      continue;
    }
    let offset = 0;
    const copied: number[] = [];
    concat.inputs.forEach((ref, i) => {
      const width = channels.get(ref)!;
      // A producer writes zeros up to a multiple of 4 channels, which must not fall on its neighbour.
      const aligned = offset % 4 === 0 && (width % 4 === 0 || i === concat.inputs.length - 1);
      if (aligned && !homes.has(ref) && !fixed.has(ref)) homes.set(ref, { slab: concat.ref, offset });
      else copied.push(i);
      offset += width;
    });
    copies.set(concat.ref, copied);
  }
  return { homes, copies, aliases };
}

/** Slices whose channels begin and end at multiples of 4, and pixels that are vectors. An output has its own buffer. */
function aliasesOf(
  { nodes }: Graph,
  channels: ReadonlyMap<Ref, number>,
  outputs: ReadonlySet<Ref>,
): Map<Ref, Alias> {
  const aliases = new Map<Ref, Alias>();
  for (const { ref, op, inputs, attrs } of nodes) {
    const [of] = inputs as [Ref];
    if (opNamed(op).launch === 'alias') aliases.set(ref, { of, offset: 0 });
    if (op !== 'slice' || outputs.has(ref)) continue;
    const [from, to] = [Number(attrs.from), Number(attrs.to)];
    if (from % 4 === 0 && (to % 4 === 0 || to === channels.get(of))) aliases.set(ref, { of, offset: from });
  }
  return aliases;
}

function order(a: Node, b: Node): number {
  return Number(a.ref.slice(1)) - Number(b.ref.slice(1));
}

/** The range a concat already is, when its operands lie side by side in one slab. */
function existingRange(
  concat: Node,
  homes: ReadonlyMap<Ref, Home>,
  channels: ReadonlyMap<Ref, number>,
): Home | undefined {
  const first = homes.get(concat.inputs[0]!);
  let next = first?.offset ?? 0;
  for (const ref of concat.inputs) {
    const home = homes.get(ref);
    if (!home || home.slab !== first?.slab || home.offset !== next) return undefined;
    next += channels.get(ref)!;
  }
  return first;
}
