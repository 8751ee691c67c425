// Checks what a file's trainings learn from, on the user's own device: the gradient of every parameter, in groups, against
// the CPU reference in f64, and the reference against finite differences of the losses. Images and parameters are random,
// those of perception networks too: what is checked is the arithmetic.

import type { Node, Param, Ref } from '../compiler/graph.js';
import { nchw } from '../compiler/ops/op.js';
import { opNamed } from '../compiler/ops/registry.js';
import type { Finding } from '../compiler/selfcheck.js';
import type { Target } from '../compiler/target.js';
import { sizeOf, type Tensor, tensor } from '../compiler/tensor.js';
import type { StepGraph } from '../compiler/training.js';
import { internal, UserError } from '../diagnostics.js';
import type { Program } from '../dsl/index.js';
import { Stepper } from '../runtime/stepper.js';
import { initialValues } from './initialize.js';
import { randomFor } from './random.js';
import { type PlannedStage, planStage, recipeOf, trainedNetworks } from './stages.js';

/**
 * By which share of their size parameters are moved, at most. At 1e-5 some of the many activations of a wide network
 * cross their kinks, which made ESRGAN's critic wrong by 2 %; f64 has digits enough for this.
 */
const STEP = 1e-7;
const DIFFERENCE_TOLERANCE = 1e-4;
/** Of a whole backward pass in another order of sums. */
const DEVICE_TOLERANCE = { f32: 1e-4, f16: 1e-1 };
/** A group whose gradient is this small beside the network's has none: what it adds, a normalisation cancels. */
const NEGLIGIBLE = 1e-4;
/** Small enough for f16, which ends at 65504. */
const LOSS_SCALE = 2 ** 12;

/** How long the reference computes before others have their turn. */
const TURN_MS = 100;

/** By ref. */
type Values = ReadonlyMap<Ref, Tensor>;
type Gradients = ReadonlyMap<Ref, Float32Array | Float64Array>;

/** Parameters of one network that stand under one name: `critic.conv`. */
interface Group {
  readonly name: string;
  readonly params: readonly Ref[];
}

/** A program whose patches are as small as its discriminators allow: `load` gives it with patches of another size. */
export function withSmallPatches(load: (patch?: number) => Program): Program {
  const written = load(); // what is wrong with it at any size is told here
  for (const patch of [16, 24, 32, 48, 64, 96, 128, 192]) {
    try {
      return load(patch);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }
  return written;
}

/** All stages of a program, one after another. */
export async function* checkGradients(
  device: GPUDevice,
  program: Program,
  target: Target,
): AsyncGenerator<Finding> {
  for (const { name, ...rest } of recipeOf(program).stages) {
    // Statistics of a batch need some values, also where strides have left one pixel of each image.
    const batch = rest.patch > 32 ? 2 : 4;
    const planned = planStage(program, { name, ...rest, batch, accumulate: 1 }, target);
    const values = await evaluated(planned.step.graph.nodes, randomValues(planned));
    const reference = new Map(
      [...planned.step.gradients].map(([param, ref]) => [param, values.get(ref)!.data]),
    );
    const actual = await gradientsOnDevice(device, planned, values);
    for (const [i, network] of trainedNetworks(program, planned.stage).entries()) {
      const groups = groupsOf(planned.step, network.name);
      const player = Math.min(i, 1);
      yield {
        what: `${name}, ${network.name}: finite differences of the ${planned.step.losses[player]}'s loss`,
        error: await againstDifferences(planned.step, player, groups, values, reference),
        tolerance: DIFFERENCE_TOLERANCE,
      };
      const whole = norm(
        groups.flatMap(({ params }) => params),
        reference,
      );
      for (const { name: group, params } of groups) {
        const least = NEGLIGIBLE * whole;
        yield {
          what: `${name}, ${group}: ${params.length} tensors`,
          error: distance(params, actual, reference) / Math.max(norm(params, reference), least),
          tolerance: DEVICE_TOLERANCE[target.precision],
        };
      }
    }
  }
}

function groupsOf({ gradients }: StepGraph, network: string): Group[] {
  const groups = new Map<string, Ref[]>();
  for (const param of gradients.keys()) {
    const [owner, first] = param.slice(1).split('.');
    if (owner !== network) continue;
    const name = `${owner}.${first}`;
    groups.set(name, [...(groups.get(name) ?? []), param]);
  }
  return [...groups].map(([name, params]) => ({ name, params }));
}

/** Of every input and parameter; f32 holds them exactly. */
function randomValues({ program, step: { graph } }: PlannedStage): Map<Ref, Tensor> {
  const { seed } = recipeOf(program);
  const initial = initialValues(graph.params.map(lively), seed);
  const values = new Map<Ref, Tensor>();
  for (const { ref, type } of graph.params) {
    values.set(ref, tensor(type.shape as number[], initial.get(ref.slice(1))!));
  }
  for (const { ref, type } of graph.inputs) {
    const shape = type.shape as number[];
    const random = randomFor(seed, 'check', ref);
    const value = ref === '%loss_scale' ? () => LOSS_SCALE : () => Math.fround(random.uniform());
    values.set(ref, tensor(shape, Array.from({ length: sizeOf(shape) }, value)));
  }
  return values;
}

/** Weights that keep the variance of what they are applied to: no layer drowns the others. */
function lively(param: Param): Param {
  const { init, type } = param;
  const weights = type.shape.length > 1 && (init.kind === 'torch' || init.kind === 'kaiming');
  return weights ? { ...param, init: { kind: 'kaiming', fanIn: init.fanIn, scale: 1 } } : param;
}

/** `values` with those of `nodes`. Lets others have their turn: large networks take minutes. */
async function evaluated(nodes: readonly Node[], values: Values): Promise<Values> {
  const known = new Map(values);
  let turn = performance.now();
  for (const node of nodes) {
    const { shape } = node.type;
    const inputs = node.inputs.map((ref) => known.get(ref) ?? internal(`no value for ${ref}`));
    known.set(node.ref, opNamed(node.op).reference(inputs, node.attrs, shape as number[]));
    if (performance.now() - turn < TURN_MS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    turn = performance.now();
  }
  return known;
}

/** What the step leaves at a learning rate of 0. */
async function gradientsOnDevice(
  device: GPUDevice,
  { program, stage, plan, step }: PlannedStage,
  values: Values,
): Promise<Gradients> {
  const networks = trainedNetworks(program, stage).map(({ name }) => name);
  const weights = step.graph.params.map(
    ({ ref }) => [ref.slice(1), Float32Array.from(values.get(ref)!.data)] as const,
  );
  const stepper = await Stepper.open(device, plan, new Map(weights), {
    adam: Object.fromEntries(networks.map((name) => [name, stage.optimizer])),
    ...(plan.precision === 'f16' && { lossScale: { scale: LOSS_SCALE, since: 0 } }),
  });
  try {
    const images = step.graph.inputs.filter(({ ref }) => ref !== '%loss_scale');
    const inputs = Object.fromEntries(
      images.map(({ ref }) => [ref.slice(1), channelsLast(values.get(ref)!)]),
    );
    const rates = Object.fromEntries(networks.map((name) => [name, 0]));
    await stepper.step({ t: 1, rates, inputs: [inputs] });
    const gradients = await stepper.read('gradient');
    return new Map([...gradients].map(([name, data]) => [`@${name}`, data]));
  } finally {
    await stepper.close();
  }
}

/** `[n][h][w][4]` */
function channelsLast({ shape, data }: Tensor): Float32Array<ArrayBuffer> {
  const [n, c, h, w] = nchw(shape);
  const pixels = new Float32Array(n * h * w * 4);
  data.forEach((value, i) => {
    const [pixel, channel, b] = [i % (h * w), Math.floor(i / (h * w)) % c, Math.floor(i / (h * w * c))];
    pixels[(b * h * w + pixel) * 4 + channel] = value;
  });
  return pixels;
}

/**
 * The slope of a player's loss along one random direction, from two values of the loss against the reference: the
 * difference, in units of what the groups contribute. Each group goes so far that its share is about that of the others.
 */
async function againstDifferences(
  step: StepGraph,
  player: number,
  groups: readonly Group[],
  values: Values,
  reference: Gradients,
): Promise<number> {
  const natural = groups.map(({ params }) => size(params, values) * norm(params, reference));
  const target = Math.max(Math.min(...natural), NEGLIGIBLE * Math.max(...natural));
  const directions = new Map<Ref, Float64Array>();
  const shares = groups.map(({ params }, i) => {
    const length = size(params, values) * Math.min(1, target / natural[i]!);
    let share = 0;
    for (const param of params) {
      const gradient = reference.get(param)!;
      const random = randomFor(player, 'direction', param);
      const direction = Float64Array.from(gradient, () => length * random.normal());
      directions.set(param, direction);
      direction.forEach((value, k) => {
        share += value * gradient[k]!;
      });
    }
    return share;
  });
  const loss = lossOf(step, player, new Set(directions.keys()), values);
  const moved = (sign: number) => {
    const elsewhere = new Map<Ref, Tensor>();
    for (const [param, direction] of directions) {
      const { shape, data } = values.get(param)!;
      elsewhere.set(param, { shape, data: data.map((value, k) => value + sign * STEP * direction[k]!) });
    }
    return loss(elsewhere);
  };
  const slope = ((await moved(1)) - (await moved(-1))) / (2 * STEP);
  const expected = shares.reduce((a, b) => a + b, 0);
  return Math.abs(slope - expected) / Math.hypot(...shares);
}

/** A player's loss as a function of some parameters. What does not depend on them, or is detached, stays as it is. */
function lossOf(
  { graph }: StepGraph,
  player: number,
  params: ReadonlySet<Ref>,
  values: Values,
): (at: Values) => Promise<number> {
  const scale = values.get('%loss_scale')?.data[0] ?? 1;
  const loss = graph.outputs[player]!;
  const needed = new Set([loss]);
  for (const { ref, inputs } of graph.nodes.toReversed()) {
    if (needed.has(ref)) for (const input of inputs) needed.add(input);
  }
  const moving = new Set(params);
  for (const { ref, op, inputs } of graph.nodes) {
    if (op !== 'detach' && inputs.some((input) => moving.has(input))) moving.add(ref);
  }
  const nodes = graph.nodes.filter(({ ref }) => needed.has(ref) && moving.has(ref));
  return async (at) => scale * (await evaluated(nodes, new Map([...values, ...at]))).get(loss)!.data[0]!;
}

/** The usual size of a parameter's values; of those that begin at 0, a little. */
function size(params: readonly Ref[], values: Values): number {
  const count = params.reduce((sum, param) => sum + values.get(param)!.data.length, 0);
  const squares = params.map((param) => values.get(param)!.data.reduce((sum, value) => sum + value ** 2, 0));
  return Math.max(1e-2, Math.sqrt(squares.reduce((a, b) => a + b, 0) / count));
}

function norm(params: readonly Ref[], gradients: Gradients): number {
  const squares = params.map((param) => {
    let sum = 0;
    for (const value of gradients.get(param)!) sum += value ** 2;
    return sum;
  });
  return Math.sqrt(squares.reduce((a, b) => a + b, 0));
}

function distance(params: readonly Ref[], actual: Gradients, expected: Gradients): number {
  const differences = params.map((param) => {
    const own = actual.get(param) ?? internal(`no gradient of ${param}`);
    return [param, expected.get(param)!.map((value, i) => value - own[i]!)] as const;
  });
  return norm(params, new Map(differences));
}
