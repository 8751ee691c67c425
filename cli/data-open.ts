// Training data from folders: pictures are listed and checked here, batches are made ahead in threads of their own, so
// that neither the device nor Ctrl-C waits for them.

import { availableParallelism, totalmem } from 'node:os';
import { relative } from 'node:path';
import { printBytes } from '../runtime/gpu.js';
import type { BatchSource } from '../train/batch.js';
import { shortHash } from '../train/checkpoint.js';
import type { BatchOptions } from '../train/data/batches.js';
import { largeEnough } from '../train/data/images.js';
import { prefetch } from '../train/data/prefetch.js';
import type { Size } from '../train/data/rgb.js';
import { type DataFile, listData } from './data-files.js';
import { openDataThread } from './data-thread.js';

export interface DataOptions extends Omit<BatchOptions, 'cacheBytes'> {
  /** A folder of originals. */
  readonly data: string;
  /** A folder of their reduced versions; without one they are made as `degrade` says. */
  readonly dataLr?: string;
}

export interface OpenData extends BatchSource {
  /** How many there are to train on. */
  readonly images: number;
  /** Of their names and sizes: with others a training does not go on. */
  readonly digest: string;
  /** To be told to the user, once. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/** At most this much memory holds pictures between batches, and at most a quarter of the machine's. */
const MAX_CACHE_BYTES = 2 ** 32;

/** Batches under way or ready, per thread, beside the one in use. */
const AHEAD = 2;

export async function openData({ data, dataLr, ...options }: DataOptions): Promise<OpenData> {
  const listed = await listData(data, options.degrade.factor, dataLr);
  const { images, note } = largeEnough(listed.files, options.patch);
  const digest = await digestOf(images, data);
  const degraded = options.degrade.kind === 'realesrgan' && dataLr === undefined;
  const count = degraded ? Math.max(1, availableParallelism() - 1) : 1;
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const cacheBytes = Math.min(MAX_CACHE_BYTES, memory / 4) / count;
  const threads = Array.from({ length: count }, () => openDataThread());
  const close = async () => {
    await Promise.all(threads.map((thread) => thread.close()));
  };
  try {
    await Promise.all(threads.map((thread) => thread.ask('open', [images, { ...options, cacheBytes }])));
  } catch (error) {
    await close();
    throw error;
  }
  const source: BatchSource = { batch: (k) => threads[k % count]!.ask('batch', [k]) };
  return {
    ...prefetch(source, AHEAD * count),
    images: images.length,
    digest,
    notes: [...listed.notes, note, noteOnMemory(images, cacheBytes)].filter((text) => text !== undefined),
    close,
  };
}

/** By paths below their folder, which may be moved. */
function digestOf(images: readonly DataFile[], folder: string): Promise<string> {
  const lines = images.map(({ name, width, height }) => `${relative(folder, name)}\t${width}\t${height}`);
  return shortHash(lines.join('\n'));
}

function noteOnMemory(images: readonly Size[], cacheBytes: number): string | undefined {
  // Originals alone: reduced versions are small beside them.
  const bytes = images.reduce((sum, { width, height }) => sum + 3 * width * height, 0);
  if (bytes <= cacheBytes) return undefined;
  return (
    `the pictures take ${printBytes(bytes)} of memory, ${printBytes(cacheBytes)} are there for them: they are loaded ` +
    'again and again, quicker when `src prepare --subimages 480` has cut them up'
  );
}
