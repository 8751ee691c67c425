// The part of a peer that all have in common that run in this process and make images.

import type { Peer } from '../peer.js';

/** Times `make`, and keeps what it made last. */
export function making(make: () => Promise<Float32Array>): Required<Pick<Peer, 'run' | 'output'>> {
  let made: Float32Array = new Float32Array();
  return {
    async run() {
      const began = performance.now();
      made = await make();
      return { ms: performance.now() - began };
    },
    output: async () => made,
  };
}
