// Which candidate is the fastest, told by a clock that runs as the test wants.

import { expect, test } from 'vitest';
import { type Runner, race } from '../../runtime/tune-race.js';

/** Runners that take so many milliseconds a run, and how often each was asked to run. */
function stage(times: readonly ((run: number) => number)[]) {
  let now = 0;
  const calls = times.map((): number[] => []);
  const runners = times.map(
    (time, i): Runner =>
      async (runs) => {
        const ms = runs * time(calls[i]!.length);
        calls[i]!.push(runs);
        now += ms;
        return ms;
      },
  );
  return { calls, run: (budget: number) => race(runners, budget, () => now) };
}

test('short runs are timed in batches that are long against the clock', async () => {
  const { calls, run } = stage([() => 0.01, () => 0.02]);
  const times = await run(0);
  expect(times[0]).toBeCloseTo(0.01);
  expect(times[1]).toBeCloseTo(0.02);
  expect(calls[0]).toEqual([1, 4, 16, 64, 256, 256, 1000, 1000, 1000]);
});

test('one odd batch does not count', async () => {
  const { run } = stage([(call) => (call === 3 ? 80 : 20), () => 30]);
  expect(await run(0)).toEqual([20, 30]);
});

test('what is hopeless is given a glance', async () => {
  const { calls, run } = stage([() => 20, () => 61]);
  expect(await run(0)).toEqual([20, 61]);
  expect(calls).toEqual([
    [1, 1, 1, 1, 1],
    [1, 1],
  ]);
});

test('one odd glance makes nothing hopeless', async () => {
  const { run } = stage([() => 20, (call) => (call === 0 ? 100 : 10)]);
  expect(await run(0)).toEqual([20, 10]);
});

test('the budget is used, and no more', async () => {
  const { calls, run } = stage([() => 20, () => 20]);
  await run(300);
  expect(calls[0]).toHaveLength(2 + 6);
  const idle = stage([() => 1e-3]);
  await idle.run(1e9);
  expect(idle.calls[0]!.length).toBeLessThan(30);
});

test('a clock that stands still ends it', async () => {
  await expect(race([async () => 0], 0)).rejects.toThrow('the clock of this device stands still');
});
