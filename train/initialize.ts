// Where training starts: the value of every parameter from its `Init`. Each tensor's numbers depend on the seed and its
// own name alone, so adding a layer leaves the others as they were.

import type { Init, Param } from '../compiler/graph.js';
import { sizeOf } from '../compiler/tensor.js';
import { type Random, randomFor } from './random.js';

/** By name, without the `@`. */
export function initialValues(params: readonly Param[], seed: number): Map<string, Float32Array> {
  return new Map(
    params.map(({ ref, type, init }) => {
      const name = ref.slice(1);
      const size = sizeOf(type.shape as number[]);
      return [name, initialValue(init, size, randomFor(seed, 'init', name))];
    }),
  );
}

function initialValue(init: Init, size: number, random: Random): Float32Array {
  const drawn = (draw: () => number) => Float32Array.from({ length: size }, draw);
  switch (init.kind) {
    case 'constant':
      return drawn(() => init.value);
    case 'torch': {
      // PyTorch's kaiming_uniform_(a = sqrt 5) has the bound sqrt(6 / ((1 + 5) * fanIn)), as its biases do.
      const bound = 1 / Math.sqrt(init.fanIn);
      return drawn(() => random.uniform(-bound, bound));
    }
    case 'kaiming': {
      const deviation = init.scale * Math.sqrt(2 / init.fanIn);
      return drawn(() => deviation * random.normal());
    }
    case 'unit': {
      const values = drawn(() => random.normal());
      const length = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
      return values.map((value) => value / length);
    }
  }
}
