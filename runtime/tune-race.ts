// Which of several ways to compute the same thing is the fastest, in bounded time. The batches of all take turns, so that
// a device that becomes warmer, or is shared, slows all of them alike.

import { fail } from '../diagnostics.js';

/** Runs something so many times; gives the milliseconds that took. */
export type Runner = (runs: number) => Promise<number>;

/** Long against the grain of the clock and what a submission costs. */
const BATCH_MS = 10;
/** Enough to see who is far too slow. */
const GLANCE_MS = 2;
const HOPELESS = 3;
/** No kernel is so fast that these take no time: a clock that says so does not run. */
const MOST_RUNS = 4 ** 8;
const LEAST_ROUNDS = 3;
const MOST_ROUNDS = 15;

/** Milliseconds of one run of each, in about `budget` of them: medians; of what is hopeless, glances. */
export async function race(
  runners: readonly Runner[],
  budget: number,
  now: () => number = () => performance.now(),
): Promise<number[]> {
  const end = now() + budget;
  const times: number[] = [];
  for (const run of runners) times.push(await glance(run));
  const fastest = Math.min(...times);
  const rivals = [...runners.keys()].filter((i) => times[i]! <= HOPELESS * fastest);
  const samples = rivals.map((): number[] => []);
  for (let round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || now() < end); round++) {
    for (const [k, i] of rivals.entries()) {
      const runs = Math.max(1, Math.round(BATCH_MS / times[i]!));
      samples[k]!.push((await runners[i]!(runs)) / runs);
    }
  }
  for (const [k, i] of rivals.entries()) times[i] = median(samples[k]!);
  return times;
}

/** The better of two: whatever else the machine does makes nothing hopeless. */
async function glance(run: Runner): Promise<number> {
  for (let runs = 1; runs <= MOST_RUNS; runs *= 4) {
    const ms = await run(runs);
    if (ms >= GLANCE_MS) return Math.min(ms, await run(runs)) / runs;
  }
  return fail(`the clock of this device stands still: ${MOST_RUNS} runs of a kernel took no time`, {
    help: 'use it without `src tune`',
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
