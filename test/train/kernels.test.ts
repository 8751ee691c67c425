// The kernels that a training computes with: those that it began with, on the adapter where it began.

import { expect, test } from 'vitest';
import { typesOf } from '../../compiler/graph.js';
import { convClassOf } from '../../compiler/ops/conv-choice.js';
import { targetFor } from '../../index.js';
import { candidates, classKey, type Tuned } from '../../runtime/kernels/conv_family.js';
import { decodeCheckpoint, encodeCheckpoint } from '../../train/checkpoint.js';
import { overridden, planStage, stageNamed } from '../../train/stages.js';
import { type TrainingState, tunedFor } from '../../train/state.js';
import { initialState, trainStage } from '../../train/trainer.js';
import { describeOnDevice } from '../on-device.js';
import { patterns, recorder, tinyProgram } from './tiny.js';

/** Kernels of one pixel are the quickest to compile. */
const program = tinyProgram(`generator small : (3, h, w) -> (3, 2*h, 2*w) { conv(12, 1); pixelshuffle(2) }
  train { degrade: bicubic(2); patch: 16; batch: 2; seed: 1; stage psnr { minimize: l1; steps: 4; adam(lr=1e-2) } }`);

describeOnDevice('a training', ({ gpu, description }) => {
  function plan(measured: Tuned, steps: number, begun?: TrainingState) {
    const stage = overridden(stageNamed(program, 'psnr'), { steps });
    return planStage(program, stage, targetFor(gpu, 'f32', tunedFor(gpu, begun, measured)));
  }

  async function train(measured: Tuned, steps: number, begun?: TrainingState): Promise<TrainingState> {
    const planned = plan(measured, steps, begun);
    return trainStage(gpu, planned, {
      state: begun ?? initialState(planned),
      perception: new Map(),
      batches: patterns(program, planned.stage),
      recorder: recorder(),
      every: { log: 1, validate: 100, checkpoint: 100, minutes: 10 },
    });
  }

  /** As if the process had ended in between. */
  async function throughFile(state: TrainingState): Promise<TrainingState> {
    return (await decodeCheckpoint('x', await encodeCheckpoint({ state, settings: {} })))!.state;
  }

  /** Other kernels for gradients of weights, where there are any. */
  function others(): Tuned {
    const target = targetFor(gpu);
    const { graph, origins } = plan({}, 1);
    const types = typesOf(graph);
    const choices = origins.flatMap((node) => {
      const inputs = node.inputs.map((ref) => types.get(ref)!);
      const of = convClassOf(node, inputs, 'f32');
      const [, other] = of?.op === 'wgrad' ? candidates(of, target) : [];
      return of && other ? [[classKey(of), other] as const] : [];
    });
    return Object.fromEntries(choices);
  }
  const tuned = others();
  const kernels = { adapter: description.name, tuned };

  test('notes them', async () => {
    expect((await train({}, 1)).kernels).toEqual({ adapter: description.name, tuned: {} });
  });

  test.runIf(Object.keys(tuned).length > 0)('taken up again keeps them, to the same bits', async () => {
    const whole = await train(tuned, 4);
    expect(whole.kernels).toEqual(kernels);
    const begun = await throughFile(await train(tuned, 2));
    expect(await train({}, 4, begun)).toEqual(whole);

    const texts = (...given: Parameters<typeof plan>) => plan(...given).plan.kernels.map(({ wgsl }) => wgsl);
    expect(texts({}, 4, begun)).toEqual(texts(tuned, 4));
    expect(texts({}, 4)).not.toEqual(texts(tuned, 4));
  });

  test('on another adapter takes what was measured there', () => {
    const measured: Tuned = { 'conv3x3 8>8': { variant: 'direct' } };
    expect(tunedFor(gpu, { kernels }, measured)).toEqual(tuned);
    expect(tunedFor(gpu, { kernels: { ...kernels, adapter: 'another' } }, measured)).toEqual(measured);
    expect(tunedFor(gpu, undefined, measured)).toEqual(measured);
  });
});
