// Reproducible random numbers for tests.

import { sizeOf, type Tensor, tensor } from '../compiler/tensor.js';

/** Uniform in [0, 1), by mulberry32. */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Values away from 0 and from each other's ties: magnitude in [0.2, 1.2), random sign unless `positive`. */
export function randomTensor(shape: readonly number[], random: () => number, positive = false): Tensor {
  const value = () => (0.2 + random()) * (positive || random() < 0.5 ? 1 : -1);
  return tensor(shape, Array.from({ length: sizeOf(shape) }, value));
}
