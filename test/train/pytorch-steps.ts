// Runs of a fixture's stage, on the CPU in double precision and on a device as training does it, and what both are
// compared with.

import { expect } from 'vitest';
import { type Ref, results } from '../../compiler/graph.js';
import { interpret } from '../../compiler/interpret.js';
import { planStep } from '../../compiler/step-plan.js';
import type { Tensor } from '../../compiler/tensor.js';
import { trainingStep } from '../../compiler/training.js';
import { internal } from '../../diagnostics.js';
import { targetFor } from '../../index.js';
import { type Kind, Stepper } from '../../runtime/stepper.js';
import {
  generatorOf,
  recipeOf,
  stageNamed,
  stepSpec,
  type TrainingStage,
  trainedNetworks,
} from '../../train/stages.js';
import { answers, image, program, start } from './pytorch.js';

/** Every stage of the fixtures' recipes. */
export const CASES = ['least', 'srgan', 'esrgan'].flatMap((file) =>
  recipeOf(program(file)).stages.map(({ name }) => ({ file, name })),
);

export interface Run {
  /** For each step: the outputs of the step's graph that are losses, in its order. */
  readonly losses: readonly ArrayLike<number>[];
  /** All parameters and state after the last. */
  readonly values: ReadonlyMap<string, ArrayLike<number>>;
}

export function prepare({ file, name }: (typeof CASES)[number]) {
  const whole = program(file);
  const stage = stageNamed(whole, name);
  return { whole, stage, expected: answers(name), step: trainingStep(stepSpec(whole, stage, 'f32')) };
}

type Prepared = ReturnType<typeof prepare>;

function batchOf({ whole, stage }: Prepared, k: number) {
  const side = stage.patch / generatorOf(whole).scale!;
  return {
    lr: image(`lr.${k}`, [stage.batch, 3, side, side]),
    hr: image(`hr.${k}`, [stage.batch, 3, stage.patch, stage.patch]),
  };
}

/** Adam as its paper has it, in double precision. */
function adam({ lr, betas: [b1, b2], eps }: TrainingStage['optimizer']) {
  const moments = new Map<Ref, readonly [Float64Array, Float64Array]>();
  return (t: number, ref: Ref, { shape, data }: Tensor, gradient: Float64Array): Tensor => {
    const [m, v] = moments.get(ref) ?? [new Float64Array(data.length), new Float64Array(data.length)];
    moments.set(ref, [m, v]);
    const moved = data.map((value, i) => {
      const g = gradient[i]!;
      m[i] = b1 * m[i]! + (1 - b1) * g;
      v[i] = b2 * v[i]! + (1 - b2) * g * g;
      return value - (lr * (m[i]! / (1 - b1 ** t))) / (Math.sqrt(v[i]! / (1 - b2 ** t)) + eps);
    });
    return { shape, data: moved };
  };
}

export function runOnCpu(prepared: Prepared, steps: number): Run {
  const { graph, losses, gradients } = prepared.step;
  const update = adam(prepared.stage.optimizer);
  let values = new Map(
    graph.params.map(({ ref, type }) => [ref, start(ref.slice(1), type.shape as number[])]),
  );
  const reported: number[][] = [];
  for (let t = 1; t <= steps; t++) {
    const { lr, hr } = batchOf(prepared, t - 1);
    const refs = results(graph);
    const all = interpret({ ...graph, outputs: refs }, new Map([...values, ['%lr', lr], ['%hr', hr]]));
    const made = new Map(refs.map((ref, i) => [ref, all[i]!]));
    reported.push(losses.map((_, i) => made.get(graph.outputs[i]!)!.data[0]!));
    const state = graph.updates.map(({ param, value }) => [param, made.get(value)!] as const);
    const trained = [...gradients].map(
      ([ref, gradient]) => [ref, update(t, ref, values.get(ref)!, made.get(gradient)!.data)] as const,
    );
    values = new Map([...values, ...state, ...trained]);
  }
  return {
    losses: reported,
    values: new Map([...values].map(([ref, { data }]) => [ref.slice(1), data])),
  };
}

/** `[n][h][w][4]`. */
function channelsLast({ shape, data }: Tensor): Float32Array<ArrayBuffer> {
  const [n, c, h, w] = shape as [number, number, number, number];
  const pixels = new Float32Array(n * h * w * 4);
  data.forEach((value, i) => {
    const [pixel, channel, b] = [i % (h * w), Math.floor(i / (h * w)) % c, Math.floor(i / (h * w * c))];
    pixels[(b * h * w + pixel) * 4 + channel] = value;
  });
  return pixels;
}

/** On a device: what is kept of each parameter, by kind. */
export interface DeviceRun extends Run {
  readonly kept: ReadonlyMap<Kind, ReadonlyMap<string, Float32Array>>;
}

/** `rateAt` gives the learning rate of each step, from 0. */
export async function runOnDevice(
  device: GPUDevice,
  prepared: Prepared,
  steps: number,
  rateAt = (_step: number) => prepared.stage.optimizer.lr,
): Promise<DeviceRun> {
  const { whole, stage, step } = prepared;
  const { optimizer, accumulate, clip, ema } = stage;
  const networks = trainedNetworks(whole, stage).map(({ name }) => name);
  const weights = new Map(
    step.graph.params.map(({ ref, type }) => {
      const name = ref.slice(1);
      return [name, Float32Array.from(start(name, type.shape as number[]).data)];
    }),
  );
  const reported: Float32Array[] = [];
  const stepper = await Stepper.open(device, planStep(step, targetFor(device)).plan, weights, {
    adam: Object.fromEntries(networks.map((name) => [name, optimizer])),
    accumulate,
    ...(clip !== undefined && { clip }),
    ...(ema !== undefined && { average: { network: networks[0]!, decay: ema } }),
    onLosses: (_t, values) => reported.push(values),
  });
  try {
    for (let k = 0; k < steps; k++) {
      const inputs = Array.from({ length: accumulate }, (_, i) => {
        const { lr, hr } = batchOf(prepared, k * accumulate + i);
        return { lr: channelsLast(lr), hr: channelsLast(hr) };
      });
      const rates = Object.fromEntries(networks.map((name) => [name, rateAt(k)]));
      await stepper.step({ t: k + 1, rates, inputs });
    }
    const kinds: Kind[] = ['value', 'moment1', 'moment2', 'average'];
    const kept = new Map<Kind, ReadonlyMap<string, Float32Array>>();
    for (const kind of kinds) kept.set(kind, await stepper.read(kind));
    return { losses: reported, values: kept.get('value')!, kept };
  } finally {
    await stepper.close();
  }
}

/** The largest relative difference of a loss, over all steps, players and terms. */
export function lossDifference({ step, expected }: Prepared, { losses }: Run): number {
  const differences = ['generator', 'discriminator'].flatMap((player) => {
    const { shape, data } = expected.tensors.get(`losses.${player}`)!;
    const columns = step.losses.flatMap((name, i) => (name.split('.')[0] === player ? i : []));
    return losses.flatMap((values, k) =>
      columns.slice(0, shape[1]).map((column, i) => {
        const value = data[k * shape[1]! + i]!;
        return Math.abs(values[column]! - value) / Math.abs(value);
      }),
    );
  });
  return Math.max(...differences);
}

/** The largest difference of a weight or a running statistic, where exact arithmetic has a gradient in every step. */
function weightDifference({ expected }: Prepared, { values }: Run): number {
  const vanishing: Readonly<Record<string, number[]>> = JSON.parse(expected.metadata.vanishing!);
  const differences = [...expected.tensors].flatMap(([name, { data }]) => {
    if (name.startsWith('losses.')) return [];
    const actual = values.get(name) ?? internal(`no ${name}`);
    const left = new Set(vanishing[name]);
    return Array.from(data, (value, i) => (left.has(i) ? 0 : Math.abs(actual[i]! - value)));
  });
  return differences.reduce((a, b) => Math.max(a, b));
}

/** All ten steps: losses relatively, weights absolutely. */
export function expectAgreement(
  prepared: Prepared,
  run: Run,
  tolerance: { readonly losses: number; readonly weights: number },
): void {
  expect(run.losses.length).toBe(10);
  expect(lossDifference(prepared, run)).toBeLessThan(tolerance.losses);
  expect(weightDifference(prepared, run)).toBeLessThan(tolerance.weights);
}
