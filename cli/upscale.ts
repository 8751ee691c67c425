// Images through a network, one after another: while one is computed, the next is sent to the device, the one after it
// unpacked, and the previous one packed and written. Four images at most are in memory, however many there are.

import { totalmem } from 'node:os';
import { fail, UserError } from '../diagnostics.js';
import type { Image, Planes } from '../formats/image.js';
import type { Executor } from '../index.js';
import { printBytes } from '../runtime/gpu.js';
import type { Codec } from './codec.js';
import type { Batch, Job } from './jobs.js';
import { buffersOf, type Decoded, type Target } from './pixels.js';
import { type Report, secondsLeft } from './progress.js';

export interface Upscaler {
  /** Called once, when the first image is read: an image that cannot be read needs no device. */
  open(): Promise<Opened>;
  readonly codec: Codec;
  /** Of the results over the inputs; the network's own may be another. */
  readonly scale: number;
  readonly networkScale: number;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface Opened {
  readonly network: Pick<Executor, 'run'>;
  /** Settles when the device is gone and no further image can be computed. */
  readonly lost: Promise<unknown>;
}

/** A single image that fails is thrown; of several, each failure is reported and the others go on. */
export async function upscaleAll(batch: Batch, upscaler: Upscaler): Promise<void> {
  const { jobs } = batch;
  const run = new BatchRun(batch, upscaler);
  let previous: Promise<void> | undefined;
  let last: Promise<void> | undefined;
  try {
    let next = jobs[0] && run.read(jobs[0]);
    for (const [i, job] of jobs.entries()) {
      const decoded = await next;
      const following = jobs[i + 1];
      next = following && run.read(following);
      last =
        decoded && run.compute(job, i, decoded).then((computed) => computed && run.finish(job, computed));
      last?.catch(() => {}); // it may fail before it is awaited
      await previous;
      previous = last;
    }
    await previous;
  } finally {
    await last?.catch(() => {}); // nothing is reported after the end
    run.end();
  }
  run.failIfAny();
}

interface Computed extends Decoded {
  readonly seconds: number;
}

class BatchRun {
  readonly #batch: Batch;
  readonly #upscaler: Upscaler;
  readonly #start = performance.now();
  readonly #failed: string[] = [];
  /** Seconds that the network took for each image. */
  readonly #times: number[] = [];
  /** When the last image was computed. */
  #computed = 0;
  #done = 0;
  #opened: Promise<Opened> | undefined;
  #deviceLost = false;

  constructor(batch: Batch, upscaler: Upscaler) {
    this.#batch = batch;
    this.#upscaler = upscaler;
  }

  read(job: Job): Promise<Decoded | undefined> {
    const { codec } = this.#upscaler;
    return this.#attempt(job, async () =>
      codec.ask('decode', [job.input, await job.read(), this.#target(job)]),
    );
  }

  async compute(job: Job, index: number, decoded: Decoded): Promise<Computed | undefined> {
    const { signal, report, networkScale } = this.#upscaler;
    const { network } = await this.#open();
    const of = this.#batch.jobs.length;
    const begun = performance.now();
    // It may have waited for the image before.
    const elapsed = () => secondsSince(Math.max(begun, this.#computed))();
    const onProgress = (fraction: number) => {
      const left = secondsLeft(fraction, elapsed(), this.#times, of - index - 1);
      report({
        event: 'progress',
        input: job.input,
        image: index + 1,
        of,
        fraction,
        ...(left !== undefined && { secondsLeft: left }),
      });
    };
    return this.#attempt(job, async () => {
      const { rgb, like } = decoded;
      checkMemory(like, networkScale);
      const result: Planes = {
        channels: rgb.channels,
        ...(await network.run(rgb, { onProgress, signal })),
      };
      const seconds = elapsed();
      this.#times.push(seconds);
      this.#computed = performance.now();
      return { ...decoded, rgb: result, seconds };
    });
  }

  finish(job: Job, { seconds, ...computed }: Computed): Promise<void> {
    const { codec, report, signal } = this.#upscaler;
    return this.#attempt(job, async () => {
      const { bytes, width, height } = await codec.ask(
        'encode',
        [computed, this.#target(job)],
        buffersOf(computed),
      );
      signal.throwIfAborted();
      await job.write(bytes);
      this.#done++;
      report({ event: 'done', input: job.input, output: job.output, width, height, seconds });
    });
  }

  end(): void {
    const { jobs, skipped } = this.#batch;
    this.#upscaler.report({
      event: 'end',
      of: jobs.length + skipped,
      done: this.#done,
      failed: this.#failed.length,
      skipped,
      seconds: secondsSince(this.#start)(),
      interrupted: this.#upscaler.signal.aborted,
    });
  }

  failIfAny(): void {
    if (this.#failed.length === 0) return;
    fail(`${this.#failed.length} of ${this.#batch.jobs.length} images could not be upscaled`, {
      notes: this.#failed,
      help: 'the same command tries only these again',
    });
  }

  #open(): Promise<Opened> {
    this.#opened ??= this.#upscaler.open().then((opened) => {
      void opened.lost.then(() => {
        this.#deviceLost = true;
      });
      return opened;
    });
    return this.#opened;
  }

  /** The result of `work`, or undefined when it failed through a fault of this image alone. */
  #attempt<T>(job: Job, work: () => Promise<T>): Promise<T | undefined> {
    const result = work().catch((cause): undefined => {
      const error = explain(job, cause);
      const { jobs, skipped } = this.#batch;
      const { report, signal } = this.#upscaler;
      const alone = jobs.length + skipped === 1;
      if (!(error instanceof UserError) || alone || this.#deviceLost || signal.aborted) throw error;
      this.#failed.push(job.input);
      report({ event: 'failed', input: job.input, error });
    });
    result.catch(() => {}); // it may fail before it is awaited
    return result;
  }

  #target({ output, format }: Job): Target {
    return { name: output, format, scale: this.#upscaler.scale };
  }
}

function secondsSince(start: number): () => number {
  return () => (performance.now() - start) / 1000;
}

/** Refuses what would be computed for hours and then killed for want of memory: planes in f32, samples, their file. */
function checkMemory({ width, height, channels, depth }: Image, scale: number): void {
  const pixels = width * height * scale ** 2;
  const needed = pixels * (12 + (2 * channels * depth) / 8);
  const available = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  if (needed <= available) return;
  fail(`its result of ${Math.round(pixels / 1e6)} megapixels needs about ${printBytes(needed)} of memory`, {
    notes: [`this machine has ${printBytes(available)}`],
    help: 'crop the image into parts',
  });
}

/** Names the image in what went wrong with it, and sees memory that ran out for what it is. */
function explain({ input, output }: Job, error: unknown): unknown {
  if (error instanceof RangeError && /alloc|array length/i.test(error.message)) {
    return new UserError({
      message: `${input}: the result needs more memory than this machine can give`,
      notes: [error.message],
      help: 'crop the image into parts, or close other programs',
    });
  }
  if (!(error instanceof UserError)) return error;
  return new UserError(
    error.diagnostics.map((diagnostic) => {
      const { message } = diagnostic;
      const named = message.includes(input) || message.includes(output);
      return named ? diagnostic : { ...diagnostic, message: `${input}: ${message}` };
    }),
  );
}
