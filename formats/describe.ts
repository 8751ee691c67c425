// What `src inspect` says about a weight file.

import { executionOrder, familyOf } from './keys.js';
import { countParameters, guessNetwork, type Network } from './network.js';
import type { WeightFile, WeightFormat } from './weights.js';

export interface WeightSummary {
  readonly format: WeightFormat;
  /** The key family's title; undefined for names of a graph of ours and for unknown ones. */
  readonly family: string | undefined;
  readonly network: Network | undefined;
  readonly tensors: number;
  readonly parameters: number;
  /** Tensors of each stored type: `{ f16: 351, f32: 351 }`. */
  readonly dtypes: Readonly<Record<string, number>>;
  /** Over the finite values. */
  readonly min: number;
  readonly max: number;
  /** Values that are NaN or infinite. */
  readonly notFinite: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export function describeWeights(file: WeightFile): WeightSummary {
  const named = [...file.tensors].map(([name, { shape }]) => ({ name, shape }));
  const dtypes: Record<string, number> = {};
  let [min, max, notFinite] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const { dtype, data } of file.tensors.values()) {
    dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
    for (const value of data) {
      if (!Number.isFinite(value)) {
        notFinite++;
        continue;
      }
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return {
    format: file.format,
    family: familyOf(file)?.title,
    network: guessNetwork(executionOrder(file) ?? named),
    tensors: file.tensors.size,
    parameters: countParameters(named),
    dtypes,
    min,
    max,
    notFinite,
    metadata: file.metadata,
  };
}
