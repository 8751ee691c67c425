// Recording on this machine's device: it changes no bit, misses nothing, and its times are those of a device.

import { expect, test } from 'vitest';
import { open } from '../../runtime/executor.js';
import type { Plan } from '../../runtime/plan.js';
import type { Recording } from '../../runtime/profile.js';
import { measureCeilings } from '../../runtime/profile-ceilings.js';
import { checkClock } from '../../runtime/profile-clock.js';
import { Stepper } from '../../runtime/stepper.js';
import { describeOnDevice } from '../on-device.js';
import { chainPlan, photo, toyPlan, toyWeights } from './plans.js';
import { input, TENSORS, toyStep } from './step-plans.js';

test('a device without a clock is refused', () => {
  const blind = { features: new Set<string>() } as unknown as GPUDevice;
  expect(() => checkClock(blind)).toThrow('this device cannot be profiled: it has no `timestamp-query`');
});

/** How often each step of the plan was run, by its name. */
function countsOf({ device }: Recording): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { task } of device) {
    const name = 'step' in task ? task.step.name : task.kernel;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

describeOnDevice('a recording', ({ gpu }) => {
  async function both(plan: Plan, size: readonly [number, number], tile?: number) {
    const network = await open(gpu, plan, toyWeights(plan), tile === undefined ? {} : { tile });
    const image = photo(...size);
    try {
      const plain = await network.run(image);
      const began = performance.now();
      const { result: recorded, recording } = await network.record(image);
      const ended = performance.now();
      const again = await network.run(image);
      return { plain, recorded, again, recording, began, ended };
    } finally {
      await network.close();
    }
  }

  test('changes nothing of what is computed', async () => {
    const { plain, recorded, again } = await both(toyPlan(), [37, 29]);
    expect(recorded.data).toEqual(plain.data);
    expect(again.data).toEqual(plain.data);
  });

  test('has every dispatch, upload and readback of a run, within its time', async () => {
    const plan = toyPlan();
    const { recording, began, ended } = await both(plan, [16, 12]);
    expect(countsOf(recording)).toEqual(
      new Map([...plan.steps.map(({ name }) => [name, 1] as const), ['copy', 1]]),
    );
    for (const { from, to } of recording.device) {
      expect(from).toBeGreaterThanOrEqual(began);
      expect(to).toBeGreaterThan(from);
      expect(to).toBeLessThanOrEqual(ended);
    }
    const spans = recording.host.map(({ work, bytes }) => [work, bytes]);
    expect(spans).toContainEqual(['upload', 4 * 4 * 16 * 12]);
    expect(spans).toContainEqual(['read back', 4 * 4 * 32 * 24]);
    expect(new Set(recording.host.map(({ work }) => work))).toEqual(
      new Set(['encode', 'upload', 'read back', 'wait']),
    );
  });

  test('has every tile', async () => {
    const plan = toyPlan();
    const { plain, recorded, recording } = await both(plan, [20, 12], 8);
    expect(recorded.data).toEqual(plain.data);
    const counts = countsOf(recording);
    for (const { name } of plan.steps) expect(counts.get(name), name).toBe(6);
  });

  test('that is aborted while it warms up leaves nothing behind', async () => {
    const network = await open(gpu, toyPlan(), toyWeights(toyPlan()));
    let asked = 0;
    const throwIfAborted = () => {
      if (++asked > 1) throw new DOMException('aborted', 'AbortError');
    };
    const signal = Object.assign(new AbortController().signal, { throwIfAborted });
    try {
      const plain = await network.run(photo(9, 7));
      await expect(network.record(photo(16, 12), { signal })).rejects.toThrow('aborted');
      expect((await network.run(photo(9, 7))).data).toEqual(plain.data);
    } finally {
      await network.close();
    }
  });

  test('of more dispatches than a query set holds', async () => {
    const plan = chainPlan(1700);
    const { recording } = await both(plan, [2, 2]);
    const order = recording.device.flatMap(({ task }) => ('step' in task ? [task.step] : []));
    expect(order).toEqual(plan.steps);
    const starts = recording.device.map(({ from }) => from);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  });

  test('of training steps changes none, and ends when it is asked for', async () => {
    const weights = new Map(
      TENSORS.map(({ name, shape }, i) => {
        const length = shape.reduce((a, b) => a * b, 1);
        return [name, Float32Array.from({ length }, (_, at) => Math.sin(at + i))];
      }),
    );
    const inputs = Object.fromEntries(
      TENSORS.filter(({ trained }) => trained).map((tensor) => [
        `d${tensor.name}`,
        input(tensor, weights.get(tensor.name)!.map(Math.cos)),
      ]),
    );
    const adam = { betas: [0.9, 0.99], eps: 1e-8 } as const;
    const train = async (recordedSteps: readonly number[]) => {
      const stepper = await Stepper.open(gpu, toyStep(), weights, { adam: { g: adam, d: adam }, clip: 1 });
      try {
        let recording: Recording | undefined;
        for (let t = 1; t <= 6; t++) {
          if (t === recordedSteps[0]) await stepper.record();
          await stepper.step({ t, rates: { g: 1e-2, d: 1e-3 }, inputs: [inputs] });
          if (t === recordedSteps.at(-1)) recording = await stepper.recorded();
        }
        return { recording, value: await stepper.read('value'), moment2: await stepper.read('moment2') };
      } finally {
        await stepper.close();
      }
    };
    const plain = await train([]);
    const { recording, ...recorded } = await train([3, 5]);
    expect(recorded).toEqual({ value: plain.value, moment2: plain.moment2 });
    const counts = countsOf(recording!);
    for (const { name } of toyStep().steps) expect(counts.get(name), name).toBe(3);
    // Two networks are trained, each with its norm and its Adam.
    const own = recording!.device.flatMap(({ task }) => ('step' in task ? [] : [task]));
    const adams = own.filter(({ name }) => name.startsWith('adam'));
    expect(new Set(adams.map(({ name }) => name)).size).toBe(2);
    expect(adams).toHaveLength(6);
    expect(adams[0]!.group).toBe('optimizer');
    expect(adams[0]!.bytes).toBeGreaterThan(0);
  });

  test('the ceilings of a device are those of some device', async () => {
    const { gflops, gbytes } = await measureCeilings(gpu);
    for (const ceiling of [gflops, gbytes]) {
      expect(ceiling).toBeGreaterThan(0.1);
      expect(ceiling).toBeLessThan(1e6);
    }
    // Every device computes faster than it can bring numbers.
    expect(gflops).toBeGreaterThan(gbytes);
  });
});
