// `src blend`: network interpolation between two weight files.

import { blend } from '../../formats/blend.js';
import { orderNote } from '../../formats/keys.js';
import { withPrecision } from '../../formats/safetensors.js';
import type { Io } from '../io.js';
import { loadTrained, prepareWeights, saveWeights } from '../weights.js';

export interface BlendOptions {
  readonly alpha: number;
  readonly output: string;
  readonly precision: 'f32' | 'f16';
}

export async function blendFiles(
  io: Io,
  a: string,
  b: string,
  { alpha, output, precision }: BlendOptions,
): Promise<void> {
  await prepareWeights(output);
  const mixed = blend(await loadTrained(a), await loadTrained(b), alpha);
  await saveWeights(io, output, withPrecision(mixed, precision), {
    ...orderNote(mixed),
    blend: `alpha ${alpha}`,
  });
}
