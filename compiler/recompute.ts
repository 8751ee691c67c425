// Less memory for more work: activations that the backward pass needs are dropped after the forward pass and computed
// again just before they are needed (Chen et al. 2016, arXiv:1604.06174). This chooses which; recompute/ does it.

import type { Graph, Ref } from './graph.js';
import { cut, forwardPass } from './recompute/blocks.js';
import { repeat } from './recompute/repeat.js';

export interface Recomputed {
  readonly graph: Graph;
  /** What it needs. */
  readonly bytes: number;
  /** How many blocks of the forward pass are computed twice, and of how many. */
  readonly blocks: number;
  readonly of: number;
}

/** Into about how many blocks the forward pass is cut, in turn. */
const CUTS: readonly number[] = [4, 8, 16, 32, 64];

/**
 * The cheapest way found to compute `graph` within `available` bytes; where there is none, the one that needs the least.
 * `results` are those of the forward pass, `measure` says what a graph needs.
 */
export function recompute(
  graph: Graph,
  results: readonly Ref[],
  available: number,
  measure: (graph: Graph) => number,
): Recomputed {
  const pass = forwardPass(graph, results);
  let best = { graph, bytes: measure(graph), blocks: 0, of: 0, work: 0 };
  for (const cuts of CUTS) {
    // Those that save the most for their work come first.
    const blocks = cut(pass, cuts).sort((a, b) => b.saved / b.work - a.saved / a.work);
    const attempt = (count: number): typeof best => {
      const chosen = blocks.slice(0, count);
      const repeated = repeat(graph, pass, chosen);
      const work = chosen.reduce((sum, block) => sum + block.work, 0);
      return { graph: repeated, bytes: measure(repeated), blocks: count, of: blocks.length, work };
    };
    let found = attempt(blocks.length);
    // Of these the fewest that are enough.
    let few = 0;
    while (found.bytes <= available && found.blocks - few > 1) {
      const fewer = attempt(Math.floor((few + found.blocks) / 2));
      if (fewer.bytes > available) few = fewer.blocks;
      else found = fewer;
    }
    const fits = found.bytes <= available && (best.bytes > available || found.work < best.work);
    if (fits || (best.bytes > available && found.bytes < best.bytes)) best = found;
  }
  return best;
}
