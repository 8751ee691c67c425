// What a profile makes of a recording: bytes and layers of steps, shares and rooflines, the trace. No device needed.

import { describe, expect, test } from 'vitest';
import { deedsOf, profileOf, type Recording } from '../../runtime/profile.js';
import { layersOf } from '../../runtime/profile-layers.js';
import { type OwnTask, type Task, workOf } from '../../runtime/profile-task.js';
import { traceOf } from '../../runtime/profile-trace.js';
import { sizesOf } from '../../runtime/schedule.js';
import { of, planOf, tensor, toyPlan } from './plans.js';

const plan = toyPlan();
const sizes = sizesOf({ height: 5, width: 10 });
const tasks = plan.steps.map((step) => ({ step, sizes }));

describe('the work of a step', () => {
  test('is what it multiplies and what it must read and write', () => {
    const pixels = 5 * 10;
    // 3 channels in, 8 out, and the weights: 9 taps of 4 x 8 packed values.
    expect(workOf(plan, tasks[0]!)).toEqual({
      macs: pixels * 9 * 3 * 8,
      bytes: 4 * (pixels * (3 + 8) + 9 * 4 * 8),
    });
    // From 8 channels to 8 of twice the height and width.
    expect(workOf(plan, tasks[4]!)).toEqual({
      macs: 4 * pixels * 9 * 8 * 8,
      bytes: 4 * (pixels * 8 + 4 * pixels * 8 + 9 * 8 * 8),
    });
  });

  test('counts what is read twice once', () => {
    const buffers = [tensor('x', 4), tensor('slab', 16), tensor('y', 8)];
    const step = (adds: readonly ReturnType<typeof of>[]) => {
      const one = planOf(buffers, [
        { x: of(0, 3), y: of(1, 16) },
        { x: of(1, 16), y: of(2, 8), adds },
      ]);
      return workOf(one, { step: one.steps[1]!, sizes }).bytes;
    };
    expect(step([of(1, 8), of(1, 4, 8)])).toBe(step([]));
    expect(step([of(0, 3)])).toBe(step([]) + 4 * 5 * 10 * 3);
  });

  test('of f16 is half the bytes', () => {
    const half = { ...plan, buffers: plan.buffers.map((buffer) => ({ ...buffer, dtype: 'f16' as const })) };
    const weights = 4 * 9 * 4 * 8;
    const [bytes, halved] = [plan, half].map((one) => workOf(one, tasks[0]!).bytes - weights);
    expect(halved).toBe(bytes! / 2);
  });
});

describe('layers', () => {
  const named = (names: readonly string[], lines: readonly number[]) => {
    const constants = plan.constants.map((constant, i) => ({
      ...constant,
      value: { op: 'scale', attrs: {}, args: [{ param: names[i]!, shape: [1] }], shape: [1] },
    }));
    const steps = plan.steps.map((step, i) => ({
      ...step,
      loc: { file: 'a.sr', line: lines[i]!, column: 3 },
    }));
    const layerOf = layersOf({ ...plan, constants, steps });
    return steps.map((step) => layerOf({ step, sizes }));
  };

  test('are the places in the text, called by the paths of their parameters', () => {
    const body = ['body.0.conv.0.weight', 'body.1.conv.0.weight', 'body.1.conv.1.weight'];
    const layers = named(['head.weight', ...body, 'up.weight', 'tail.weight'], [1, 2, 2, 2, 5, 6]);
    const names = layers.map(({ name }) => name);
    // The same statement with another result is another line.
    expect(names).toEqual(['head', 'body.*.conv.0', 'body.*.conv.0', 'body.1.conv.1', 'up', 'tail']);
    expect(layers[1]).toBe(layers[2]);
    expect(layers[0]).toEqual({ name: 'head', at: 'a.sr:1:3', shape: '(8, h, w)' });
    expect(layers[4]!.shape).toBe('(8, 2*h, 2*w)');
  });

  test('paths of several lengths are told apart', () => {
    const layers = named(
      ['x.weight', 'a.weight', 'a.b.weight', 'x.weight', 'x.weight', 'x.weight'],
      Array(6).fill(4),
    );
    expect(layers[1]!.name).toBe('a, a.b');
  });

  test('without parameters have the name of their kernel', () => {
    const steps = plan.steps.map((step) => ({ ...step, bindings: [] }));
    const layer = layersOf({ ...plan, steps })({ step: steps[1]!, sizes });
    expect(layer).toEqual({ name: 'conv_within', at: 'toy.sr:2:1', shape: '(4, h, w)' });
  });
});

const copies = (kind: 'buffer' | 'mirror'): OwnTask => ({
  name: 'copies',
  kernel: `copy to ${kind}`,
  group: 'copies',
  bytes: 2000,
  copies: kind,
});

/** Tasks one after another, each with its milliseconds. */
function record(done: readonly (readonly [Task, number])[]): Recording {
  let now = 100;
  const device = done.map(([task, ms]) => {
    const from = now;
    now += ms;
    return { task, from, to: now };
  });
  const host = [
    { work: 'encode', from: 90, to: 92, bytes: 0 },
    { work: 'upload', from: 80, to: 81, bytes: 600 },
    { work: 'encode', from: 93, to: 97, bytes: 0 },
  ] as const;
  return { plan, device, host };
}

const ceilings = { gflops: 0.1, gbytes: 0.01 };

describe('a profile', () => {
  const [first, within] = [tasks[0]!, tasks[1]!];
  const recording = record([
    [first, 2],
    [copies('mirror'), 1],
    [within, 4],
    [copies('buffer'), 0.5],
    [first, 2.5],
  ]);
  const profile = profileOf(recording, { ceilings, runs: 2 });

  test('adds up what a layer takes, with the mirrors made for it', () => {
    const { layers, total } = profile;
    expect(total).toMatchObject({ calls: 1.5, ms: 5, share: 1 });
    expect(layers.map(({ at, name, calls, ms, share }) => [at ?? name, calls, ms, share])).toEqual([
      ['toy.sr:2:1', 0.5, 2.5, 0.5],
      ['toy.sr:1:1', 1, 2.25, 0.45],
      ['copies', 0.5, 0.25, 0.05],
    ]);
    expect(profile.groups).toEqual([]);
  });

  test('says what was reached', () => {
    const [second, head, other] = profile.layers;
    const { macs, bytes } = workOf(plan, within);
    expect(second!.gflops).toBeCloseTo((2 * macs) / 5e6, 12);
    expect(second!.gbytes).toBeCloseTo(bytes / 5e6, 12);
    expect(head!.gflops).toBeCloseTo((2 * 2 * workOf(plan, first).macs) / 4.5e6, 12);
    expect(other).toMatchObject({ gflops: 0, roofline: 0 });
  });

  test.each([
    ['arithmetic', { gflops: 0.01, gbytes: 1000 }, ({ macs }: { macs: number }) => (2 * macs) / 0.01e6],
    ['memory', { gflops: 1000, gbytes: 0.02 }, ({ bytes }: { bytes: number }) => bytes / 0.02e6],
  ])('the roofline where %s is the limit', (_, device, ideal) => {
    const { layers } = profileOf(record([[first, 40]]), { ceilings: device, runs: 1 });
    expect(layers[0]!.roofline).toBeCloseTo(ideal(workOf(plan, first)) / 40, 12);
  });

  test('counts copies by their kernel', () => {
    const kernels = profile.kernels.map(({ kernel, calls, ms }) => [kernel, calls, ms]);
    expect(kernels).toEqual([
      ['conv', 1, 2.25],
      ['conv_within', 0.5, 2],
      ['copy to mirror', 0.5, 0.5],
      ['copy to buffer', 0.5, 0.25],
    ]);
    expect(profile.kernels[2]!.gbytes).toBeCloseTo(2000 / 1e6, 12);
  });

  test('adds up the work of the host', () => {
    expect(profile.host).toEqual([
      { work: 'encode', calls: 1, ms: 3, bytes: 0 },
      { work: 'upload', calls: 0.5, ms: 0.5, bytes: 300 },
    ]);
  });

  test('in parts, where a step has parts', () => {
    const groupOf = (step: (typeof plan.steps)[number]) => (step === first.step ? 'forward' : 'wgrad');
    const { groups, layers } = profileOf(recording, { ceilings, runs: 1, groupOf });
    expect(groups.map(({ group, ms }) => [group, ms])).toEqual([
      ['wgrad', 5],
      ['forward', 4.5],
      ['copies', 0.5],
    ]);
    expect(layers[0]).toMatchObject({ group: 'wgrad', at: 'toy.sr:2:1' });
    expect(layers[0]).not.toHaveProperty('shape');
  });

  test('of nothing is nothing', () => {
    expect(profileOf(record([]), { ceilings, runs: 1 }).total).toEqual({
      calls: 0,
      ms: 0,
      share: 0,
      gflops: 0,
      gbytes: 0,
      roofline: 0,
    });
  });

  test('a mirror that nothing follows is a copy', () => {
    const [deed] = deedsOf(record([[copies('mirror'), 1]]));
    expect(deed!.layer).toEqual({ name: 'copies', group: 'copies' });
  });
});

test('the trace has every span, in microseconds from the first', () => {
  const trace = traceOf(
    record([
      [tasks[4]!, 2],
      [copies('buffer'), 1],
    ]),
  );
  const spans = trace.traceEvents.filter(({ ph }) => ph === 'X');
  expect(JSON.parse(JSON.stringify(trace)).traceEvents).toHaveLength(trace.traceEvents.length);
  expect(spans).toHaveLength(5);
  expect(spans[0]).toEqual({
    name: 'w4',
    ph: 'X',
    cat: 'device',
    pid: 1,
    tid: 1,
    ts: 20_000,
    dur: 2000,
    args: {
      kernel: 'conv',
      step: 'conv 4',
      at: 'toy.sr:5:1',
      reads: '1 x 5 x 10 x 8',
      writes: '1 x 10 x 20 x 8',
      MFLOP: (2 * 200 * 9 * 8 * 8) / 1e6,
      'GFLOP/s': 0.1152,
      bytes: 10_304,
      'GB/s': 0.005152,
    },
  });
  expect(spans.at(-2)).toEqual({
    name: 'upload',
    ph: 'X',
    cat: 'host',
    pid: 1,
    tid: 3,
    ts: 0,
    dur: 1000,
    args: { bytes: 600 },
  });
  const rows = trace.traceEvents.filter(({ ph }) => ph === 'M').map(({ tid, args }) => [tid, args.name]);
  expect(rows).toContainEqual([1, 'device']);
  for (const { tid } of spans) expect(rows.map(([row]) => row)).toContain(tid);
});
