// Where a measurement was made: the machine, the device, and the version of this project.

import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { printBytes } from '../runtime/gpu.js';
import type { NodeDevice } from '../runtime/node.js';
import type { DeviceFacts } from './peer.js';

/** Of the repository; this file runs from bench/out/bench/. */
export const ROOT = join(import.meta.dirname, '../../..');

/** What `npm run bench:setup` unpacked: a program and its models. */
export const DOWNLOADS = join(ROOT, 'bench/downloads/package/real-esrgan');

export const version: string = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;

export function deviceFacts({ gpu, description }: NodeDevice): DeviceFacts {
  const { name, driver, features, limits, subgroupSize } = description;
  const { subgroupMatrixConfigs = [] } = gpu.adapterInfo as GPUAdapterInfo & {
    subgroupMatrixConfigs?: readonly Readonly<Record<string, unknown>>[];
  };
  const matrices = [...subgroupMatrixConfigs].map(
    (one) => `${one.M}x${one.N}x${one.K} ${one.componentType} -> ${one.resultComponentType}`,
  );
  return {
    name,
    driver,
    exposes: [
      ['f16', features.includes('shader-f16') ? 'yes' : 'no'],
      ['subgroups', subgroupSize ? `${subgroupSize.min} to ${subgroupSize.max}` : 'no'],
      ['subgroup matrices', matrices.join(', ') || 'none'],
      ['timestamps', features.includes('timestamp-query') ? 'yes' : 'no'],
      ...Object.entries(limits).map(([limit, value]) => [limit, printLimit(limit, value)] as const),
      ['other features', features.join(', ')],
    ],
  };
}

function printLimit(name: string, value: number): string {
  return /Size$|Storage/.test(name) && value >= 1024 && !/SizeX|SizeY|SizeZ/.test(name)
    ? printBytes(value)
    : String(value);
}

/** `2 x Xeon …, 24 GiB, linux 6.1, Node 20.20.2` */
export function hostLine(): string {
  const [cpu] = cpus();
  const cores = `${cpus().length} x ${cpu?.model ?? 'unknown CPU'}`;
  return `${cores}, ${printBytes(totalmem())}, ${process.platform} ${release()}, Node ${process.versions.node}`;
}
