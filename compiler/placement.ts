// Concat removal: a concat is a buffer, and each operand that can be is written straight into its channel range, so
// a dense block is one buffer of channel slabs and costs no copy. Concats that are a range of a larger one (the
// earlier steps of the same dense block) live inside it.

import type { Graph, Node, Ref } from './graph.js';
import { image } from './ops/types.js';

export interface Home {
  /** The concat whose buffer this value lives in. */
  readonly slab: Ref;
  readonly offset: number;
}

export interface Placement {
  /** Values that live inside a slab; all others have a buffer of their own. */
  readonly homes: ReadonlyMap<Ref, Home>;
  /** Operand positions of each slab that must be copied in. */
  readonly copies: ReadonlyMap<Ref, readonly number[]>;
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
  // Values that nothing may move: the host writes inputs and reads outputs; a slab has its own buffer.
  const fixed = new Set<Ref>([...ports, ...concats.map((concat) => concat.ref)]);

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
  return { homes, copies };
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
