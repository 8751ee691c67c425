// The networks that are measured, and where their weights come from: a folder of published ones where there is one, else
// random numbers of the right shapes, which take the same time.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Param } from '../compiler/graph.js';
import { readWeights } from '../formats/detect.js';
import { matchWeights } from '../formats/match.js';
import type { WeightFile, WeightTensor } from '../formats/weights.js';
import type { Compiled } from '../index.js';
import { initialValues } from '../train/initialize.js';
import { DOWNLOADS, ROOT } from './machine.js';
import type { NcnnModel } from './peer.js';

export interface BenchNetwork {
  /** From the repository's root. */
  readonly file: string;
  /** What ncnn's program calls it, and the files of that name without their ending. */
  readonly ncnn?: { readonly name: string; readonly files: string };
}

export const NETWORKS = {
  rrdb6: {
    file: 'graphs/esrgan-anime.sr',
    ncnn: { name: 'realesrgan-x4plus-anime', files: 'realesrgan-x4plus-anime' },
  },
  rrdb23: {
    file: 'graphs/esrgan.sr',
    ncnn: { name: 'realesrgan-x4plus', files: 'realesrgan-x4plus' },
  },
  compact: {
    file: 'graphs/compact.sr',
    ncnn: { name: 'realesr-animevideov3', files: 'realesr-animevideov3-x4' },
  },
  conv64: { file: 'bench/networks/conv64.sr' },
} satisfies Readonly<Record<string, BenchNetwork>>;

/** Of random weights. */
export const SEED = 1;

export function sourceOf({ file }: Pick<BenchNetwork, 'file'>): { name: string; text: string } {
  return { name: file, text: readFileSync(join(ROOT, file), 'utf8') };
}

export interface Weights {
  /** By the graph's names. */
  readonly file: WeightFile;
  readonly origin: 'published' | 'random';
  readonly ncnn?: NcnnModel;
}

/** `models`: folders with published weights, the first that has them wins. */
export async function weightsOf(
  { ncnn }: BenchNetwork,
  { network }: Compiled,
  models: readonly string[],
): Promise<Weights> {
  const { params } = network.graph;
  const folder =
    ncnn &&
    [...models, join(DOWNLOADS, 'models')].find((one) => existsSync(join(one, `${ncnn.files}.param`)));
  const values = folder
    ? matchWeights(
        params.map(({ ref, type }) => ({ name: ref.slice(1), shape: type.shape as number[] })),
        await readWeights(`${ncnn.files}.param`, readFileSync(join(folder, `${ncnn.files}.param`)), (name) =>
          readFileSync(join(folder, name)),
        ),
      )
    : initialValues(params, SEED);
  return {
    file: fileOf(params, values),
    origin: folder ? 'published' : 'random',
    ...(folder && { ncnn: { folder, name: ncnn.name } }),
  };
}

/** The values as a file of weights. */
export function fileOf(params: readonly Param[], values: ReadonlyMap<string, Float32Array>): WeightFile {
  const tensors = params.map(({ ref, type }): [string, WeightTensor] => {
    const name = ref.slice(1);
    return [name, { shape: type.shape as number[], data: values.get(name)!, dtype: 'f32' }];
  });
  return { name: 'weights', format: 'safetensors', tensors: new Map(tensors), metadata: {} };
}
