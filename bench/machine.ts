// Where a measurement was made: the machine, the device, and the version of this project.

import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { printBytes } from '../runtime/gpu.js';

/** Of the repository; this file runs from bench/out/bench/. */
export const ROOT = join(import.meta.dirname, '../../..');

/** What `npm run bench:setup` unpacked: a program and its models. */
export const DOWNLOADS = join(ROOT, 'bench/downloads/package/real-esrgan');

export const version: string = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;

/** `2 x Xeon …, 24 GiB, linux 6.1, Node 20.20.2` */
export function hostLine(): string {
  const [cpu] = cpus();
  const cores = `${cpus().length} x ${cpu?.model ?? 'unknown CPU'}`;
  return `${cores}, ${printBytes(totalmem())}, ${process.platform} ${release()}, Node ${process.versions.node}`;
}
