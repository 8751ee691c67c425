// `src inspect`: what a weight file holds.

import { describeWeights } from '../../formats/describe.js';
import { printNetwork } from '../../formats/network.js';
import { printCount, printShape } from '../../formats/values.js';
import type { WeightFile, WeightFormat } from '../../formats/weights.js';
import { printTable } from '../human.js';
import { type Io, write } from '../io.js';
import { loadWeights } from '../weights.js';

const TITLES: Readonly<Record<WeightFormat, string>> = {
  pth: 'PyTorch checkpoint',
  safetensors: 'safetensors',
  ncnn: 'ncnn model',
  tfjs: 'TensorFlow.js layers model',
};

export interface InspectOptions {
  readonly json?: true;
  readonly tensors?: true;
}

export async function inspect(
  { stdout }: Io,
  path: string,
  { json, tensors }: InspectOptions,
): Promise<void> {
  const file = await loadWeights(path);
  if (json) return write(stdout, `${JSON.stringify(toJson(file))}\n`);
  return write(stdout, summary(file) + (tensors ? `\n${tensorList(file)}` : ''));
}

function summary(file: WeightFile): string {
  const { format, family, network, tensors, parameters, dtypes, min, max, notFinite, metadata } =
    describeWeights(file);
  const types = Object.entries(dtypes).map(([dtype, count]) => `${dtype} (${count})`);
  return printTable([
    ['file', `${file.name} (${TITLES[format]})`],
    ['network', network ? printNetwork(network) : 'not one that is known here'],
    ['names', family ?? "of no published family: a graph's own, or unknown"],
    ['tensors', `${tensors}, stored as ${types.join(', ')}`],
    ['parameters', printCount(parameters)],
    ['values', `${min.toPrecision(4)} to ${max.toPrecision(4)}`],
    ...(notFinite ? [['damage', `${printCount(notFinite)} values are NaN or infinite`] as const] : []),
    ...Object.entries(metadata).filter(([key]) => key !== 'order'),
  ]);
}

function tensorList(file: WeightFile): string {
  return printTable(
    [...file.tensors].map(([name, { dtype, shape }]) => [name, `${dtype} ${printShape(shape)}`]),
  );
}

function toJson(file: WeightFile): object {
  const tensors = [...file.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  return { file: file.name, ...describeWeights(file), tensors };
}
