// All originals of a data set, several at a time, each in a thread. One that fails is reported, and the others go on.

import { availableParallelism } from 'node:os';
import { fail, UserError } from '../diagnostics.js';
import { listNames } from '../train/data/images.js';
import type { PreparedPart, PrepareJob, PrepareSettings } from './data-prepare.js';
import { type DataThread, openDataThread } from './data-thread.js';
import type { Report } from './progress.js';

export interface Preparing {
  readonly settings: PrepareSettings;
  /** Writes what a thread has made, in this one: what is half written is taken away when the process ends. */
  save(part: PreparedPart): Promise<void>;
  /** Originals that are done already. */
  readonly skipped: number;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export async function prepareAll(jobs: readonly PrepareJob[], preparing: Preparing): Promise<void> {
  const { settings, save, skipped, report, signal } = preparing;
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const queue = [...jobs];
  const failed: string[] = [];
  let done = 0;

  const attempt = async (thread: DataThread, job: PrepareJob) => {
    try {
      return await thread.ask('prepare', [job, settings]);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failed.push(job.input);
      report({ event: 'failed', input: job.input, error });
      return undefined;
    }
  };
  const work = async (thread: DataThread) => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const parts = await attempt(thread, job);
      for (const part of parts ?? []) {
        signal.throwIfAborted();
        await save(part);
      }
      if (parts) done++;
      const image = done + failed.length;
      const secondsLeft = (seconds() / image) * (jobs.length - image);
      report({ event: 'progress', input: job.input, fraction: 1, image, of: jobs.length, secondsLeft });
    }
  };

  const count = Math.min(availableParallelism(), jobs.length);
  const threads = Array.from({ length: count }, () => openDataThread());
  const close = () => Promise.all(threads.map((thread) => thread.close()));
  const giveUp = () => void close();
  signal.addEventListener('abort', giveUp);
  try {
    await Promise.all(threads.map(work));
  } finally {
    signal.removeEventListener('abort', giveUp);
    await close();
    const of = jobs.length + skipped;
    const interrupted = signal.aborted;
    report({ event: 'end', of, done, failed: failed.length, skipped, seconds: seconds(), interrupted });
  }
  if (failed.length > 0) {
    fail(`${failed.length} of ${jobs.length} images could not be prepared`, {
      notes: [listNames(failed)],
      help: 'the same command tries only these again',
    });
  }
}
