// Reproducible random numbers for tests.

import { randomSource } from '../compiler/random.js';
import { sizeOf, type Tensor, tensor } from '../compiler/tensor.js';

export { randomSource };

/** Values away from 0 and from each other's ties: magnitude in [0.2, 1.2), random sign unless `positive`. */
export function randomTensor(shape: readonly number[], random: () => number, positive = false): Tensor {
  const value = () => (0.2 + random()) * (positive || random() < 0.5 ? 1 : -1);
  return tensor(shape, Array.from({ length: sizeOf(shape) }, value));
}
