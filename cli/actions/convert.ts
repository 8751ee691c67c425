// `src convert`: any readable weight file to safetensors.

import { orderNote } from '../../formats/keys.js';
import { withPrecision } from '../../formats/safetensors.js';
import { compile } from '../../index.js';
import type { Io } from '../io.js';
import type { Settings } from '../options.js';
import { readGraph } from '../package.js';
import { loadWeights, prepareWeights, saveWeights, underGraphNames } from '../weights.js';

export interface ConvertOptions {
  readonly output: string;
  readonly precision?: 'f32' | 'f16';
  readonly network?: string;
  readonly set: Settings;
}

export async function convert(
  io: Io,
  path: string,
  { output, precision, network, set }: ConvertOptions,
): Promise<void> {
  await prepareWeights(output);
  const file = await loadWeights(path);
  const named = network ? underGraphNames(compile(await readGraph(network), { set }), file) : file;
  const tensors = precision ? withPrecision(named, precision) : named.tensors;
  await saveWeights(io, output, tensors, { ...file.metadata, ...(!network && orderNote(file)) });
}
