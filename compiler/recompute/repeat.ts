// Repeats blocks of the forward pass before the backward pass needs them. Nodes are repeated as they are, fused, so that
// the same kernels give the same bits; what they leave in running statistics is not repeated.

import type { Graph, Node, Ref } from '../graph.js';
import { eliminateDead } from '../rewrite.js';
import { type Block, type ForwardPass, isWithin } from './blocks.js';

export function repeat(graph: Graph, pass: ForwardPass, blocks: readonly Block[]): Graph {
  const blockOf = new Map<Ref, Block>();
  for (const block of blocks) {
    for (const { ref } of pass.nodes.slice(block.first, block.last + 1)) blockOf.set(ref, block);
  }
  const joints = new Map(blocks.map((block) => [block, new Joints(pass)]));
  const again = new Map<Ref, Ref>();
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const block = blockOf.get(node.ref);
    if (pass.forward.has(node.ref)) {
      nodes.push(...(block ? joints.get(block)!.join(node, (ref) => isWithin(pass, ref, block)) : [node]));
      continue;
    }
    for (const ref of node.inputs) {
      const from = blockOf.get(ref);
      if (from && isWithin(pass, ref, from) && !again.has(ref)) nodes.push(...repeated(pass, from, again));
    }
    nodes.push({ ...node, inputs: node.inputs.map((ref) => again.get(ref) ?? ref) });
  }
  return eliminateDead({ ...graph, nodes });
}

/** The nodes of a block once more; `again` learns their new names. What the backward pass does not need is dead. */
function repeated(pass: ForwardPass, block: Block, again: Map<Ref, Ref>): Node[] {
  const joints = new Joints(pass);
  return pass.nodes.slice(block.first, block.last + 1).flatMap((node) => {
    if (!isWithin(pass, node.ref, block)) return [];
    again.set(node.ref, `${node.ref}${AGAIN}`);
    const inputs = node.inputs.map((ref) => again.get(ref) ?? ref);
    return joints.join({ ...node, ref: again.get(node.ref)!, inputs }, (ref) => ref.endsWith(AGAIN));
  });
}

const AGAIN = 'again';

/**
 * Copies of what concats of a block take from outside. Joined as it is, it would lie in the concat's buffer, all of which
 * would then be kept.
 */
class Joints {
  readonly #pass: ForwardPass;
  readonly #copies = new Map<Ref, Ref>();

  constructor(pass: ForwardPass) {
    this.#pass = pass;
  }

  /** `node` after the copies that it needs. */
  join(node: Node, isOwn: (ref: Ref) => boolean): Node[] {
    if (node.op !== 'concat') return [node];
    const copies: Node[] = [];
    const inputs = node.inputs.map((of) => {
      const known = this.#copies.get(of);
      // Inputs of the graph lie in buffers of their own.
      if (known !== undefined || isOwn(of) || !this.#pass.places.has(of)) return known ?? of;
      const ref = `${of}for${node.ref.slice(1)}`;
      this.#copies.set(of, ref);
      copies.push({ ref, op: 'detach', inputs: [of], attrs: {}, type: this.#pass.types.get(of)! });
      return ref;
    });
    return [...copies, { ...node, inputs }];
  }
}
