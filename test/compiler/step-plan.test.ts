// Plans of training steps: simulated in the plan's own buffers with the reference of each step's node, and on a device.

import { describe, expect, test } from 'vitest';
import { store } from '../../compiler/device-tensors.js';
import { planStep } from '../../compiler/step-plan.js';
import { GENERIC } from '../../compiler/target.js';
import { trainingStep } from '../../compiler/training.js';
import { load } from '../../dsl/index.js';
import { targetFor } from '../../index.js';
import { evaluateConstant } from '../../runtime/constants.js';
import { evalDim } from '../../runtime/dims.js';
import { layOut } from '../../runtime/step-memory.js';
import { type Inputs, Stepper } from '../../runtime/stepper.js';
import { recipeOf, stepSpec } from '../../train/stages.js';
import { describeOnDevice, precisions } from '../on-device.js';
import { graphSource } from '../shared.js';
import { expectClose, simulate } from './simulate.js';
import { OBJECTIVES, type Objective, runAll, stepOf, valuesOf } from './steps.js';

const CASES: readonly Objective[] = ['charbonnier', 'tv', 'ragan', 'hinge', 'spectral'];

describe.each(CASES)('%s', (objective) => {
  test.each([false, true])('a plan computes what its graph means (scaled loss: %s)', (lossScale) => {
    const step = stepOf(objective, { lossScale });
    const values = valuesOf(step.graph);
    expectClose(simulate(step, planStep(step, GENERIC), values), runAll(step.graph, values), 1e-9);
  });

  test('what it computes when it is loaded can be computed then', () => {
    const step = stepOf(objective);
    const zeros = step.graph.params.map(
      ({ ref, type: { shape } }) =>
        [ref.slice(1), new Float32Array((shape as number[]).reduce((a, b) => a * b, 1))] as const,
    );
    for (const { value } of planStep(step, GENERIC).plan.constants) {
      const size = value.shape.reduce((a, b) => a * b, 1);
      expect(evaluateConstant(value, new Map(zeros))).toHaveLength(size);
    }
  });

  test('no dispatch reads one tensor of an arena and writes another', () => {
    const { plan } = planStep(stepOf(objective), GENERIC);
    expect(layOut(plan, {}).copies.size).toBe(0);
  });
});

test('a plan that computes activations again computes the same', () => {
  const step = stepOf('perceptual', { batch: 8 });
  const values = valuesOf(step.graph);
  const { planned, constants, arenas } = layOut(planStep(step, GENERIC).plan, {}).memory;
  const less = planStep(step, GENERIC, { memory: 0.97 * (planned + constants + arenas) });
  expect(less.recomputed).toBeDefined();
  expectClose(simulate(step, less, values), runAll(step.graph, values), 1e-9);
});

describe('places', () => {
  const { plan } = planStep(stepOf('gan'), GENERIC);

  test('each network has an arena for what is trained and one for its statistics', () => {
    expect(plan.arenas.map(({ network, trained }) => [network, trained])).toEqual([
      ['net', true],
      ['net', false],
      ['critic', true],
      ['critic', false],
    ]);
    for (const [i, { bytes }] of plan.arenas.entries()) {
      const own = plan.residents.filter(({ arena }) => arena === i);
      expect(bytes % 256).toBe(0);
      expect(own.every(({ offset }) => offset % 256 === 0 && offset < bytes)).toBe(true);
      expect(new Set(own.map(({ offset }) => offset)).size).toBe(own.length);
    }
  });

  test('a checkpoint supplies residents; frozen parameters are constants', () => {
    const { plan: perceptual } = planStep(stepOf('perceptual'), GENERIC);
    expect(perceptual.parameters.every(({ name }) => name.startsWith('vgg.'))).toBe(true);
    expect(perceptual.residents.some(({ name }) => name.startsWith('vgg.'))).toBe(false);
  });

  test('outputs are the losses, by name', () => {
    expect(plan.outputs.map(({ name }) => name)).toEqual(stepOf('gan').losses);
  });

  test('f16 is for images and constants; what is summed, trained or one number is f32', () => {
    const half = planStep(stepOf('ragan'), { ...GENERIC, precision: 'f16' }).plan;
    const kinds = half.buffers.map(
      ({ dtype, resident, dims, name }) => [dtype, resident, dims, name] as const,
    );
    expect(kinds.some(([dtype]) => dtype === 'f16')).toBe(true);
    for (const [dtype, resident, [n, h, w]] of kinds) {
      if (resident || (n === 1 && h === 1 && w === 1)) expect(dtype).toBe('f32');
    }
    expect(half.constants.every(({ dtype, value }) => dtype === 'f16' || value.shape.length === 0)).toBe(
      true,
    );
  });
});

// Shipped recipes with small networks: a pass that stops firing shows here.
const KERNELS = [
  ['esrgan.sr', 'psnr', { blocks: 1, features: 8, growth: 4 }, 132],
  ['esrgan.sr', 'gan', { blocks: 1, features: 8, growth: 4 }, 616],
  ['srgan.sr', 'srresnet', { blocks: 1, features: 8 }, 98],
  ['srgan.sr', 'srgan_vgg54', { blocks: 1, features: 8 }, 495],
] as const;

test.each(KERNELS)('%s %s: dispatches', (file, name, set, dispatches) => {
  const program = load(graphSource(file), { set });
  const stage = recipeOf(program).stages.find((one) => one.name === name)!;
  const { plan } = planStep(trainingStep(stepSpec(program, stage, 'f32')), GENERIC);
  expect(plan.steps.length).toBe(dispatches);
});

const LARGE = `generator large : (3, h, w) -> (3, h, w) { conv(5); batchnorm; lrelu(0.2); conv(3) }
train {
  degrade: bicubic(1); patch: 40; batch: 3
  stage only { minimize: l1; steps: 1; adam(lr=1e-3) }
}`;

describeOnDevice('on a device', ({ gpu }) => {
  const steps = {
    f32: () => stepOf('lsgan'),
    // Statistics of a critic's few pixels would magnify the rounding of f16.
    f16: () => stepOf('charbonnier', { lossScale: true }),
    // Sums in two halves, which change statistics in place.
    'f32, large images': () => {
      const program = load({ name: 'large.sr', text: LARGE });
      return trainingStep(stepSpec(program, recipeOf(program).stages[0]!, 'f32'));
    },
  } as const;
  const names = Object.keys(steps) as (keyof typeof steps)[];
  test.each(names.filter((name) => name !== 'f16' || precisions.includes(name)))(
    'losses, gradients and state (%s)',
    async (name) => {
      const precision = name === 'f16' ? 'f16' : 'f32';
      const step = steps[name]();
      const values = valuesOf(step.graph);
      const { plan } = planStep(step, targetFor(gpu, precision));
      const weights = new Map(
        step.graph.params.map(({ ref }) => [ref.slice(1), Float32Array.from(values.get(ref)!.data)]),
      );
      const inputs: Inputs = Object.fromEntries(
        plan.inputs
          .filter(({ name }) => name !== 'loss_scale')
          .map(({ name, buffer, channels }, i) => {
            const { dims, stride } = plan.buffers[buffer]!;
            const elements = new Float32Array(
              dims.reduce<number>((size, dim) => size * evalDim(dim, {}), stride),
            );
            const { ref, type } = step.graph.inputs[i]!;
            const at = {
              shape: type.shape as number[],
              layout: 'image',
              operand: { buffer, offset: 0, channels },
            } as const;
            store(plan, at, elements, {}, values.get(ref)!);
            return [name, elements];
          }),
      );
      const adam = { betas: [0.9, 0.999], eps: 1e-8 } as const;
      let losses: Float32Array | undefined;
      const stepper = await Stepper.open(gpu, plan, weights, {
        adam: Object.fromEntries(plan.arenas.map(({ network }) => [network, adam])),
        ...(precision === 'f16' && { lossScale: { scale: 8, since: 0 } }),
        onLosses: (_t, reported) => {
          losses = reported.slice();
        },
      });
      try {
        await stepper.step({
          t: 1,
          rates: Object.fromEntries(plan.arenas.map(({ network }) => [network, 0])),
          inputs: [inputs],
        });
        const [gradients, state] = [await stepper.read('gradient'), await stepper.read('value')];
        const expected = runAll(step.graph, values);
        const actual = [
          ...[...losses!].map((loss) => ({ data: Float64Array.of(loss) })),
          ...[...step.gradients.keys()].map((param) => ({
            data: Float64Array.from(gradients.get(param.slice(1))!),
          })),
          ...step.graph.updates.map(({ param }) => ({ data: Float64Array.from(state.get(param.slice(1))!) })),
        ];
        const tolerance = precision === 'f32' ? 1e-5 : 0.05;
        expectClose(actual, expected, tolerance, 1);
      } finally {
        await stepper.close();
      }
    },
  );
});

test('every objective has a plan, whose kernels bind no more than every device allows', () => {
  for (const objective of Object.keys(OBJECTIVES) as Objective[]) {
    const { plan } = planStep(stepOf(objective), GENERIC);
    expect(plan.steps.length).toBeGreaterThan(100);
    expect(Math.max(...plan.kernels.map(({ bindings }) => bindings.length))).toBeLessThanOrEqual(8);
  }
});
