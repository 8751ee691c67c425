// Weight files on disk: with the other files of ncnn and TensorFlow.js models, under the names of a network where one is
// given, and back as safetensors.

import { dirname, join } from 'node:path';
import { fail } from '../diagnostics.js';
import { readWeights } from '../formats/detect.js';
import { matchWeights } from '../formats/match.js';
import { countParameters } from '../formats/network.js';
import { writeSafetensors } from '../formats/safetensors.js';
import { printCount } from '../formats/values.js';
import type { WeightFile, WeightTensor } from '../formats/weights.js';
import { type Compiled, planFor } from '../index.js';
import { printBytes } from '../runtime/gpu.js';
import { isCheckpoint } from '../train/checkpoint.js';
import { prepareOutput, readBytes, statOf, writeAtomic } from './files.js';
import { type Io, write } from './io.js';
import { newestWeights } from './run-folder.js';

/** A file, or the folder of a run, whose newest weights are taken. */
export async function loadWeights(given: string): Promise<WeightFile> {
  const path = (await newestWeights(given)) ?? given;
  if ((await statOf(path))?.isDirectory()) {
    fail(`${path}: there are no weights in this folder`, {
      notes: ['they would be in weights/, where a training leaves them with every checkpoint'],
      help: 'pass the folder of a training, or a file of weights',
    });
  }
  return readWeights(path, await readBytes(path), async (sibling) =>
    (await statOf(sibling)) ? readBytes(sibling) : undefined,
  );
}

/** Those of one network: a checkpoint holds all that are trained, with their moments and averages. */
export async function loadTrained(given: string): Promise<WeightFile> {
  const file = await loadWeights(given);
  if (isCheckpoint(file.metadata)) {
    const run = dirname(dirname(given));
    fail(`${given}: this is a checkpoint of a training, not the weights of a network`, {
      help: `those are in ${join(run, 'weights')}; ${run} stands for the newest of them`,
    });
  }
  return file;
}

/** The file's values under the names of the network's parameters; refuses weights of another network. */
export function underGraphNames(compiled: Compiled, file: WeightFile): WeightFile {
  const { parameters } = planFor(compiled);
  const values = matchWeights(parameters, file);
  const tensors = parameters.map(({ name, shape }): [string, WeightTensor] => [
    name,
    { shape, data: values.get(name)!, dtype: 'f32' },
  ]);
  return { ...file, tensors: new Map(tensors) };
}

/** To be called before the work is done. */
export async function prepareWeights(path: string): Promise<void> {
  if (!path.endsWith('.safetensors')) {
    fail(`${path}: weights are written as safetensors`, { help: `name it ${path}.safetensors` });
  }
  await prepareOutput(path);
}

export async function saveWeights(
  { stderr }: Io,
  path: string,
  tensors: ReadonlyMap<string, WeightTensor>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const bytes = writeSafetensors(tensors, metadata);
  await writeAtomic(path, bytes);
  const named = [...tensors].map(([name, { shape }]) => ({ name, shape }));
  const counts = `${tensors.size} tensors, ${printCount(countParameters(named))} parameters`;
  await write(stderr, `${path}: ${counts}, ${printBytes(bytes.length)}\n`);
}
