// Stages of a tiny program from start to end: what is learnt, recorded, taken up again, and said when it fails.

import { expect, test } from 'vitest';
import { GENERIC } from '../../compiler/target.js';
import { UserError } from '../../diagnostics.js';
import * as library from '../../index.js';
import { decodeCheckpoint, encodeCheckpoint } from '../../train/checkpoint.js';
import { generatorOf, overridden, planStage, stageNamed } from '../../train/stages.js';
import type { TrainingState } from '../../train/state.js';
import { initialState, type TrainOptions, trainStage } from '../../train/trainer.js';
import { testImage } from '../../train/validation.js';
import { describeOnDevice, precisions } from '../on-device.js';
import { patterns, type Recorded, recorder, TINY, tinyProgram } from './tiny.js';

const EVERY = { log: 1, validate: 100, checkpoint: 100, minutes: 10 };

interface Given extends Partial<TrainOptions> {
  readonly text?: string;
  readonly stage?: string;
  readonly steps?: number;
  readonly precision?: 'f32' | 'f16';
}

function losses({ lines }: Recorded): number[] {
  return lines.flatMap((line) => ('loss' in line ? [line.loss.total] : []));
}

/** As if the process had ended in between. */
async function throughFile(state: TrainingState): Promise<TrainingState> {
  const bytes = await encodeCheckpoint({ state, settings: {} });
  const checkpoint = await decodeCheckpoint('checkpoint', bytes);
  return checkpoint!.state;
}

test('a stage may have patches of its own size', () => {
  const text = TINY.replace(
    'minimize: l1 + 1e-2 * gan(critic);',
    'patch: 8; minimize: l1 + 1e-2 * gan(critic);',
  );
  const program = tinyProgram(text);
  const shapes = ['psnr', 'gan'].map((name) => {
    const { step } = planStage(program, stageNamed(program, name), GENERIC);
    return step.graph.inputs.map(({ type }) => type.shape);
  });
  expect(shapes).toEqual([
    [
      [4, 3, 8, 8],
      [4, 3, 16, 16],
    ],
    [
      [4, 3, 4, 4],
      [4, 3, 8, 8],
    ],
  ]);
});

describeOnDevice('a stage', ({ gpu }) => {
  async function train({ text = TINY, stage: name = 'psnr', steps, precision = 'f32', ...given }: Given) {
    const program = tinyProgram(text);
    const stage = overridden(stageNamed(program, name), steps === undefined ? {} : { steps });
    const planned = planStage(program, stage, library.targetFor(gpu, precision));
    const recorded = recorder();
    const state = await trainStage(gpu, planned, {
      state: initialState(planned),
      perception: new Map(),
      batches: patterns(program, stage),
      recorder: recorded,
      every: EVERY,
      ...given,
    });
    return { state, recorded, planned };
  }

  test('learns, and records what it does', async () => {
    const { state, recorded } = await train({});
    const { lines, states, saved } = recorded;
    const curve = losses(recorded);
    expect(curve).toHaveLength(20);
    expect(curve.at(-1)).toBeLessThan(0.6 * curve[0]!);
    expect(lines[0]).toMatchObject({
      stage: 'psnr',
      step: 1,
      lr: 5e-3,
      loss: { total: curve[0] },
      norm: { tiny: expect.any(Number) },
    });
    expect(lines.map((line) => 'lr' in line && line.lr)).toEqual([
      ...Array<number>(15).fill(5e-3),
      ...Array<number>(5).fill(2.5e-3),
    ]);
    expect(states).toEqual([state]);
    expect(state).toMatchObject({ stage: 'psnr', step: 20 });

    // What is used is the average; running statistics are those of the last step.
    const weights = saved[0]!.tensors;
    expect([...weights.keys()]).toEqual(
      generatorOf(tinyProgram()).graph.params.map(({ ref }) => ref.slice(1)),
    );
    expect(weights.get('head.conv.weight')!.data).toEqual(state.average!.get('tiny.head.conv.weight'));
    expect(weights.get('head.conv.weight')!.data).not.toEqual(state.values.get('tiny.head.conv.weight'));
    expect(weights.get('batchnorm.running_var')!.data).toEqual(
      state.values.get('tiny.batchnorm.running_var'),
    );
  });

  test.each(precisions)('taken up again it gives the same bits, %s', async (precision) => {
    const whole = await train({ precision });
    const first = await train({ precision, steps: 12 });
    const second = await train({ precision, state: await throughFile(first.state) });
    expect([...losses(first.recorded), ...losses(second.recorded)]).toEqual(losses(whole.recorded));
    expect(second.state).toEqual(whole.state);
    if (precision === 'f16') expect(whole.state.lossScale?.since).toBeGreaterThan(0);
  });

  test('a GAN starts from the averaged generator, and is taken up again with its critic', async () => {
    const { recorded } = await train({ steps: 3 });
    const start = new Map([...recorded.saved[0]!.tensors].map(([name, { data }]) => [name, data]));
    const program = tinyProgram();
    const stage = stageNamed(program, 'gan');
    const initial = initialState(planStage(program, stage, library.targetFor(gpu)), start);
    expect(initial.values.get('tiny.head.conv.weight')).toEqual(start.get('head.conv.weight'));

    const whole = await train({ stage: 'gan', state: initial });
    expect(whole.recorded.lines).toHaveLength(6);
    expect(whole.recorded.lines[0]).toMatchObject({
      loss: { total: expect.any(Number), l1: expect.any(Number), '1e-2 * gan(critic)': expect.any(Number) },
      critic: { total: expect.closeTo(2 * Math.log(2), 0) },
      norm: { tiny: expect.any(Number), critic: expect.any(Number) },
    });
    const { values } = whole.state;
    expect(values.get('critic.conv.0.weight')).not.toEqual(initial.values.get('critic.conv.0.weight'));

    const first = await train({ stage: 'gan', state: initial, steps: 4 });
    const second = await train({ stage: 'gan', state: await throughFile(first.state) });
    expect(second.state).toEqual(whole.state);
  });

  test('batches are accumulated, to the same bits when taken up again: with clipping and spectral norms, too', async () => {
    const text = TINY.replace('batch: 4', 'batch: 2; accumulate: 2')
      .replace('conv(8); batchnorm', 'conv(8, spectral=true)')
      .replace('adam(lr=1e-3)', 'adam(lr=1e-3); clip(0.1)');
    const asked: number[] = [];
    const program = tinyProgram(text);
    const source = patterns(program, stageNamed(program, 'gan'));
    const batches = {
      batch(k: number) {
        asked.push(k);
        return source.batch(k);
      },
    };
    const whole = await train({ text, stage: 'gan', steps: 4 });
    const { state, recorded } = await train({ text, stage: 'gan', steps: 2, batches });
    expect(losses(recorded)).toHaveLength(2);
    const again = await train({ text, stage: 'gan', steps: 4, batches, state: await throughFile(state) });
    expect(again.state).toEqual(whole.state);
    expect([...new Set(asked)].slice(0, 8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const norms = whole.recorded.lines.flatMap((line) => ('norm' in line ? [line.norm!.tiny!] : []));
    expect(Math.min(...norms)).toBeGreaterThan(0.1); // so that clipping takes place
  });

  test('what is frozen stays, and is saved with the rest', async () => {
    const text = TINY.replace('ema(0.9)', 'freeze: head');
    const { state, planned } = await train({ text, steps: 2 });
    const before = initialState(planned).values;
    expect(state.values.get('tiny.head.conv.weight')).toEqual(before.get('tiny.head.conv.weight'));
    expect(state.values.get('tiny.conv.1.weight')).not.toEqual(before.get('tiny.conv.1.weight'));
    expect([...state.values.keys()].sort()).toEqual([...before.keys()].sort());
  });

  test('validates and saves at its intervals', async () => {
    const side = 40;
    const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 7) % 256);
    const image = { width: side, height: side, channels: 3, depth: 8, data } as const;
    async function* tests() {
      yield testImage('a.png', image, 2);
    }
    const { recorded } = await train({
      steps: 5,
      tests,
      every: { log: 10, validate: 2, checkpoint: 3, minutes: 10 },
    });
    expect(recorded.lines.map(({ step }) => step)).toEqual([1, 2, 4, 5, 5]);
    expect(recorded.lines[1]).toMatchObject({
      validation: {
        psnr: expect.any(Number),
        bicubic: { psnr: expect.any(Number) },
        images: [{ name: 'a.png' }],
      },
    });
    expect(recorded.samples.map(({ step }) => step)).toEqual([2, 4, 5]);
    expect(recorded.states.map(({ step }) => step)).toEqual([3, 5]);
    expect(recorded.saved.map(({ step }) => step)).toEqual([3, 5]);
  });

  test('data or validation that fails loses no step', async () => {
    const source = patterns(tinyProgram(), stageNamed(tinyProgram(), 'psnr'));
    const failing = async (): Promise<never> => {
      throw new Error('it is gone');
    };
    const first = recorder();
    const batches = { batch: (k: number) => (k < 5 ? source.batch(k) : failing()) };
    await expect(train({ batches, recorder: first })).rejects.toThrow('it is gone');
    expect(first.states.map(({ step }) => step)).toEqual([5]);

    const second = recorder();
    const every = { ...EVERY, validate: 4, checkpoint: 4 };
    const tests = () => ({ [Symbol.asyncIterator]: () => ({ next: failing }) });
    await expect(train({ tests, every, recorder: second })).rejects.toThrow('it is gone');
    expect(second.states.map(({ step }) => step)).toEqual([4]);
    const { state } = await train({ steps: 4 });
    expect(second.states).toEqual([state]);
  });

  test('an interruption saves where it is', async () => {
    const interrupt = new AbortController();
    const onStep = ({ step }: { readonly step: number }) => {
      if (step === 4) interrupt.abort();
    };
    const { state, recorded } = await train({ steps: 1000, signal: interrupt.signal, onStep });
    expect(state.step).toBeGreaterThanOrEqual(4);
    expect(state.step).toBeLessThan(100);
    expect(recorded.states).toEqual([state]);
    expect(recorded.lines.at(-1)?.step).toBe(state.step);
  });

  test('a divergence names the step, the layer and the line, and saves nothing', async () => {
    const recorded = recorder();
    const text = TINY.replace('lr=5e-3', 'lr=1e30');
    const error = await train({ text, recorder: recorded }).catch((caught: unknown) => caught);
    if (!(error instanceof UserError)) throw error;
    const [{ message, notes, help }] = error.diagnostics as [(typeof error.diagnostics)[0]];
    expect(message).toBe('stage `psnr` diverged: step 2 gives no numbers');
    expect(notes?.[0]).toMatch(/^the first Inf is in `tiny.head.prelu`, map_prelu\w*, at tiny.sr:4:28$/);
    expect(notes?.[1]).toBe('the learning rate is 1e+30');
    expect(help).toContain('smaller learning rate');
    expect(losses(recorded)).toHaveLength(1);
    expect(recorded.states).toEqual([]);
  });

  test('a program trains on pictures of its own and runs the result', async () => {
    const side = 32;
    const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => 128 + 100 * Math.sin(i / 50));
    const image = { name: 'waves', width: side, height: side, channels: 3, depth: 8, data } as const;
    const dot = { ...image, name: 'dot', width: 1, height: 1 };
    const images = { images: [dot, image], load: async (index: number) => [dot, image][index]! };
    const { state, weights } = await library.train(gpu, tinyProgram(), { stage: 'psnr', steps: 3, images });
    expect(state.step).toBe(3);
    const network = await library.open(gpu, library.compile(TINY), { weights });
    const result = await network.run({ width: 5, height: 4, data: new Float32Array(3 * 5 * 4) });
    expect(result).toMatchObject({ width: 10, height: 8 });
    await network.close();

    const request = { stage: 'gan', steps: 3, images, state };
    await expect(library.train(gpu, tinyProgram(), request)).rejects.toThrow(
      'stage `gan` cannot go on from a state of `psnr`',
    );
  });

  test('what cannot be recorded ends it', async () => {
    const failing = { ...recorder(), metrics: async () => Promise.reject(new Error('the disk is full')) };
    await expect(train({ steps: 2, recorder: failing })).rejects.toThrow('the disk is full');
  });
});
