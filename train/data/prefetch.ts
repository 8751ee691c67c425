// Batches made before they are asked for, so that the device never waits for them.

import type { Batch, BatchSource } from '../batch.js';

/** Keeps `ahead` batches after the last one asked for under way, and no more: a slow reader slows the maker down. */
export function prefetch(source: BatchSource, ahead: number): BatchSource {
  const batches = new Map<number, Promise<Batch>>();
  return {
    batch(k) {
      for (const old of batches.keys()) {
        if (old < k || old > k + ahead) batches.delete(old);
      }
      for (let next = k; next <= k + ahead; next++) {
        if (batches.has(next)) continue;
        const made = source.batch(next);
        // It may fail before it is asked for.
        made.catch(() => {});
        batches.set(next, made);
      }
      const asked = batches.get(k)!;
      batches.delete(k);
      return asked;
    },
  };
}
