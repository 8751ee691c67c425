// The blends of a file, once all stages that they mix are trained: weights beside those of the stages.

import { internal } from '../diagnostics.js';
import type { Program } from '../dsl/index.js';
import type { WeightTensor } from '../formats/weights.js';
import { statOf } from './files.js';
import type { RunFolder } from './run-folder.js';
import type { TrainReport } from './train-report.js';
import { loadWeights } from './weights.js';

type Tensors = ReadonlyMap<string, WeightTensor>;

export async function writeBlends(
  { blends }: Program,
  folder: RunFolder,
  report: TrainReport,
): Promise<void> {
  for (const { name, terms } of blends) {
    const paths = terms.map(({ stage }) => folder.weightsPath(stage));
    const found = await Promise.all(paths.map(statOf));
    if (!found.every((file) => file)) continue;
    const files = await Promise.all(paths.map(loadWeights));
    const what = terms.map(({ stage, weight }) => `${weight} * ${stage}`).join(' + ');
    await folder.blend(name, what, mixed(files.map(({ tensors }, i) => [tensors, terms[i]!.weight])));
    report({ event: 'blend', blend: name, weights: folder.weightsPath(name) });
  }
}

/** The weighted sum over every tensor: stages of one file have one network. */
function mixed(terms: readonly (readonly [Tensors, number])[]): Map<string, WeightTensor> {
  const [first] = terms[0] ?? internal('a blend of nothing');
  return new Map(
    [...first].map(([name, { shape, data }]) => {
      const sum = new Float64Array(data.length);
      for (const [tensors, weight] of terms) {
        tensors.get(name)!.data.forEach((value, i) => {
          sum[i]! += weight * value;
        });
      }
      return [name, { shape, data: new Float32Array(sum), dtype: 'f32' }];
    }),
  );
}
