// A thread that works on training pictures: what it can be asked.

import type { Batch } from '../train/batch.js';
import type { BatchOptions } from '../train/data/batches.js';
import type { DataFile } from './data-files.js';
import type { PreparedPart, PrepareJob, PrepareSettings } from './data-prepare.js';
import { Thread } from './thread.js';

export type DataCalls = {
  /** Says what later batches are made of. */
  open(files: readonly DataFile[], options: BatchOptions): Promise<undefined>;
  batch(k: number): Promise<Batch>;
  prepare(job: PrepareJob, settings: PrepareSettings): Promise<PreparedPart[]>;
};
export type DataThread = Thread<DataCalls>;

export function openDataThread(): DataThread {
  return new Thread(new URL('./data-worker.js', import.meta.url));
}
