// Measuring candidates of convolutions on the device at hand. Software Vulkan takes seconds to compile some of them: what
// stands for a candidate here is the heuristic's own kernel, as it is or spoilt.

import { describe, expect, test } from 'vitest';
import { type Lowered, lower } from '../../compiler/lower.js';
import { lowerStep } from '../../compiler/step-plan.js';
import { GENERIC } from '../../compiler/target.js';
import { decide, type Measured, type Subject, type TuneOptions, tune } from '../../compiler/tune.js';
import { fitting, measure, type Timing } from '../../compiler/tune-measure.js';
import { compile, targetFor } from '../../index.js';
import { Pipelines } from '../../runtime/pipelines.js';
import type { Plan } from '../../runtime/plan.js';
import { stepMacs } from '../../runtime/schedule.js';
import { Stopwatch } from '../../runtime/tune-clock.js';
import { alone } from '../../runtime/tune-step.js';
import { planStage, stageNamed } from '../../train/stages.js';
import { describeOnDevice, precisions } from '../on-device.js';
import { tinyProgram } from '../train/tiny.js';

const SIZE = { width: 20, height: 12 };
const PIXELS = 240;

const { graph } = compile(`generator small : (3, h, w) -> (3, 2*h, 2*w) {
  conv(8)
  residual { conv(8); conv(8) }
  conv(12); pixelshuffle(2)
}`);

const timing = (id: number, ms: number): Timing => ({
  choice: { variant: 'direct', tile: { width: id, height: 1, groups: 1 } },
  ms,
});

describe('a choice', () => {
  test('is the heuristic where another gains little', () => {
    const [heuristic, best, other] = [timing(1, 10), timing(2, 9.8), timing(3, 12)];
    expect(decide([heuristic, best, other])).toEqual({ heuristic, best, chosen: heuristic });
  });

  test('is the best where that gains enough', () => {
    const [heuristic, other, best] = [timing(1, 10), timing(2, 9.7), timing(3, 9.6)];
    expect(decide([heuristic, other, best])).toEqual({ heuristic, best, chosen: best });
  });
});

test('of a large image, a part is measured', () => {
  const plan = alone(lower(graph, GENERIC).plan, 0);
  const macsOf = (sizes: ReturnType<typeof fitting>) => stepMacs(plan.steps[0]!, plan.buffers, sizes);
  expect(fitting(plan, { width: 60, height: 40 }, 5e8)).toEqual({ n: 1, h: 40, w: 60 });
  const part = fitting(plan, { width: 6000, height: 4000 }, 1e8);
  expect(part.w! / part.h!).toBeCloseTo(1.5, 1);
  expect(macsOf(part)).toBeLessThanOrEqual(1e8);
  expect(4.1 * macsOf(part)).toBeGreaterThan(1e8);
  const largest = fitting(plan, { width: 60_000, height: 40_000 }, Number.POSITIVE_INFINITY);
  expect(largest.w! * largest.h! * 8 * 4).toBeLessThanOrEqual(2 ** 27);
});

describeOnDevice('tuning', ({ gpu }) => {
  const network: Subject = {
    graph,
    lower: (target) => lower(graph, { ...target, tuned: {} }),
    size: SIZE,
  };

  async function measured(subject: Subject, options: Partial<TuneOptions> = {}, precision?: 'f32' | 'f16') {
    const all: Measured[] = [];
    const target = targetFor(gpu, precision);
    for await (const one of tune(gpu, subject, target, { budget: 0, ...options })) all.push(one);
    return all;
  }

  test.each(precisions)('measures the classes of a network, %s', async (precision) => {
    const all = await measured(network, {}, precision);
    expect(all.map(({ key, count, macs }) => ({ key, count, macs }))).toEqual([
      { key: `conv3x3 8>8 s1 p1 ${precision}`, count: 2, macs: 2 * PIXELS * 9 * 8 * 8 },
      { key: `conv3x3 8>3 s1 p4 ${precision}`, count: 1, macs: PIXELS * 9 * 8 * 12 },
      { key: `conv3x3 3>8 s1 p1 ${precision}`, count: 1, macs: PIXELS * 9 * 3 * 8 },
    ]);
    for (const { heuristic, best, chosen } of all) {
      expect(heuristic.ms).toBeGreaterThan(0);
      expect([best, chosen]).toEqual([heuristic, heuristic]);
    }
  });

  test('measures the gradients of a training step', async () => {
    const program =
      tinyProgram(`generator small : (3, h, w) -> (3, 2*h, 2*w) { upsample(2); conv(4); conv(3) }
      train { degrade: bicubic(2); patch: 16; batch: 2; stage psnr { minimize: l1; steps: 1; adam(lr=1e-3) } }`);
    const target = targetFor(gpu);
    const planned = planStage(program, stageNamed(program, 'psnr'), target);
    const lowered = lowerStep({ ...planned.step, graph: planned.graph }, target);
    const all = await measured({ graph: planned.graph, lower: () => lowered });
    const kinds = new Set(all.map(({ key }) => /^\w+?(?=\d)/.exec(key)?.[0]));
    expect(kinds).toEqual(new Set(['conv', 'dgrad', 'wgrad']));
    for (const { heuristic } of all) expect(heuristic.ms).toBeGreaterThan(0);
  });

  test('measures nothing twice', async () => {
    const all = await measured(network);
    const known = new Map(all.map((one) => [one.key, { ...one, macs: one.macs / 2, count: 7 }]));
    const twice = ({ choice, ms }: Timing): Timing => ({ choice, ms: 2 * ms });
    expect(await measured(network, { known })).toEqual(
      all.map(({ heuristic, best, chosen, ...one }) => ({
        ...one,
        heuristic: twice(heuristic),
        best: twice(best),
        chosen: twice(chosen),
      })),
    );
  });

  /** The first convolution with its own kernel, and with what becomes of that as another candidate. */
  async function against(spoil: (plan: Plan) => Plan) {
    const target = targetFor(gpu);
    const lowered = lower(graph, target);
    const other: Lowered = { ...lowered, plan: spoil(lowered.plan) };
    const rivals = [
      { choice: timing(1, 0).choice, lowered },
      { choice: timing(2, 0).choice, lowered: other },
    ];
    const stopwatch = await Stopwatch.open(gpu);
    try {
      const setting = { device: gpu, pipelines: new Pipelines(gpu), stopwatch, signal: undefined, target };
      return await measure(setting, { graph, step: 0, rivals, macs: 1e6, size: SIZE }, 0);
    } finally {
      stopwatch.close();
    }
  }

  const withText = (plan: Plan, edit: (wgsl: string) => string): Plan => ({
    ...plan,
    kernels: plan.kernels.map((kernel) => ({ ...kernel, wgsl: edit(kernel.wgsl) })),
  });

  test('candidates that compute the same are timed', async () => {
    const { timings, faults } = await against((plan) => withText(plan, (wgsl) => `${wgsl}\n// the same`));
    expect(timings.map(({ choice }) => choice)).toEqual([timing(1, 0).choice, timing(2, 0).choice]);
    for (const { ms } of timings) expect(ms).toBeGreaterThan(0);
    expect(faults).toEqual([]);
  });

  test('a candidate that computes something else is told, and not timed', async () => {
    const nowhere = [{ dim: 0, per: 1 }] as const;
    const { timings, faults } = await against((plan) => ({
      ...plan,
      steps: plan.steps.map((step) => ({ ...step, workgroups: [nowhere, nowhere, nowhere] })),
    }));
    expect(timings.map(({ choice }) => choice)).toEqual([timing(1, 0).choice]);
    expect(faults).toEqual([{ choice: timing(2, 0).choice, what: 'the result differs by 1.0e+0' }]);
  });

  test('a candidate that does not compile is told, and not timed', async () => {
    const { timings, faults } = await against((plan) => withText(plan, () => 'fn main( {'));
    expect(timings).toHaveLength(1);
    expect(faults[0]!.what).toMatch(/^kernel conv3x3_3_8.*expected/s);
  });

  test('without a first one there is nothing to compare with', async () => {
    const broken = lower(graph, targetFor(gpu));
    const lowered = { ...broken, plan: withText(broken.plan, () => 'fn main( {') };
    await expect(measured({ ...network, lower: () => lowered })).rejects.toThrow(
      'internal: kernel conv3x3_8_8',
    );
  });

  test('it ends when it is told to', async () => {
    const interruption = new AbortController();
    setTimeout(() => interruption.abort(new Error('enough')), 20);
    await expect(measured(network, { budget: 60_000, signal: interruption.signal })).rejects.toThrow(
      'enough',
    );
  });
});
