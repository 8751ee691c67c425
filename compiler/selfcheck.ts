// Checks a network on the user's own device, kernel by kernel and as a whole:
//   every kernel of the plan, in its own layout and precision, against the CPU reference of its node;
//   the fused network against the unfused one; the tiled image against the untiled one, bit for bit.
// Weights and images are random: what is checked is that the device computes what the graph says.

import { internal, printLoc } from '../diagnostics.js';
import { evalDim, isSymbolic, type Sizes } from '../runtime/dims.js';
import { open } from '../runtime/executor.js';
import type { PlanarImage } from '../runtime/image.js';
import type { Plan } from '../runtime/plan.js';
import { type Elements, Probe } from '../runtime/probe.js';
import { load, store } from './device-tensors.js';
import { type Graph, type Node, type Ref, typesOf } from './graph.js';
import { concrete } from './interpret.js';
import { layoutsOf } from './layout.js';
import { lower } from './lower.js';
import { opNamed } from './ops/registry.js';
import { optimize } from './passes/pipeline.js';
import { randomSource } from './random.js';
import type { Target } from './target.js';
import { sizeOf, type Tensor } from './tensor.js';

export interface Finding {
  /** `conv3x3_64_32_direct at esrgan.sr:6:5` */
  readonly what: string;
  /** Largest difference, in units of the largest expected value. */
  readonly error: number;
  readonly tolerance: number;
}

/** An awkward size: odd, no multiple of any tile of a kernel. */
const PROBE_SIZE = { h: 7, w: 13 };
const IMAGE_SIZE = { height: 37, width: 43 };
const TILE = 16;

/** Largest relative difference of one kernel: f32 sums in another order; f16 stores with 11 bits. */
const KERNEL_TOLERANCE = { f32: 2e-5, f16: 2e-3 };
/** The same for a whole network. */
const NETWORK_TOLERANCE = { f32: 1e-4, f16: 3e-2 };

export async function* selfCheck(device: GPUDevice, source: Graph, target: Target): AsyncGenerator<Finding> {
  const { graph } = optimize(source);
  const weights = randomWeights(source);
  yield* checkKernels(device, graph, target, weights);
  const { plan } = lower(graph, target);
  const [input] = plan.inputs;
  const dims = input && plan.buffers[input.buffer]?.dims;
  if (!dims?.slice(1).every(isSymbolic)) return;

  const image = randomImage(plan, input!.channels);
  const whole = await runOnce(device, plan, weights, image);
  const unfused = await runOnce(device, lower(source, target).plan, weights, image);
  yield {
    what: `fused against unfused, ${image.width}x${image.height}`,
    error: difference(whole.data, unfused.data),
    tolerance: NETWORK_TOLERANCE[target.precision],
  };
  const tiled = await runOnce(device, plan, weights, image, TILE);
  yield {
    what: `in tiles of ${TILE} against whole, ${image.width}x${image.height}`,
    error: difference(tiled.data, whole.data),
    tolerance: 0,
  };
}

/** Each kernel text once, at the first step that uses it. `residents` are given to kernels as they are in training. */
export async function* checkKernels(
  device: GPUDevice,
  graph: Graph,
  target: Target,
  weights: Map<string, Float32Array>,
  residents: readonly Ref[] = [],
): AsyncGenerator<Finding> {
  const persistence = { residents: new Map(residents.map((ref, i) => [ref, i])), gradients: new Map() };
  const { plan, origins } = lower(graph, target, persistence);
  const layouts = layoutsOf(graph);
  const types = typesOf(graph);
  const constants = evaluateConstants(graph, weights, residents);
  const sizes: Sizes = { n: 1, h: PROBE_SIZE.h * plan.align, w: PROBE_SIZE.w * plan.align };
  const probe = await Probe.open(device, plan, weights);
  const seen = new Set<number>();
  try {
    for (const [i, step] of plan.steps.entries()) {
      if (seen.has(step.kernel)) continue;
      seen.add(step.kernel);
      const node = origins[i]!;
      const contents = new Map<number, Elements>();
      for (const binding of step.bindings) {
        if ('buffer' in binding) contents.set(binding.buffer, randomElements(plan, binding.buffer, sizes));
      }
      const reads = [...step.reads];
      const inputs = node.inputs.map((ref) => {
        const known = constants.get(ref);
        if (known) return known;
        const operand = reads.shift()!;
        const located = { shape: concrete(types.get(ref)!, sizes), layout: layouts.get(ref)!, operand };
        const elements = contents.get(operand.buffer)!;
        const value = load(plan, located, elements, sizes);
        store(plan, located, elements, sizes, value);
        return value;
      });
      const shape = shapeOf(node, sizes, step.writes.channels);
      const expected = opNamed(node.op).reference(inputs, node.attrs, shape);
      const written = await probe.run(step, sizes, contents);
      const result = { shape, layout: layouts.get(node.ref)!, operand: step.writes };
      const actual = load(plan, result, written, sizes);
      const at = node.loc ? ` at ${printLoc(node.loc)}` : '';
      yield {
        what: `${plan.kernels[step.kernel]!.name}${at}`,
        error: difference(actual.data, expected.data),
        tolerance: KERNEL_TOLERANCE[target.precision],
      };
    }
  } finally {
    probe.close();
  }
}

/** A copy into a concat is a concat of one operand, whose node still has the type of the whole. */
function shapeOf({ op, type }: Node, sizes: Sizes, channels: number): number[] {
  const shape = concrete(type, sizes);
  return op === 'concat' ? shape.with(1, channels) : shape;
}

/** Values of the constant parameters and of everything that depends on them alone. */
function evaluateConstants(
  graph: Graph,
  weights: ReadonlyMap<string, Float32Array>,
  residents: readonly Ref[],
): Map<Ref, Tensor> {
  const values = new Map<Ref, Tensor>();
  for (const { ref, type } of graph.params) {
    if (residents.includes(ref)) continue;
    const data = weights.get(ref.slice(1)) ?? internal(`no weights for ${ref}`);
    values.set(ref, { shape: type.shape as number[], data: Float64Array.from(data) });
  }
  for (const { ref, op, inputs, attrs, type } of graph.nodes) {
    const args = inputs.map((input) => values.get(input));
    if (!args.every((arg) => arg !== undefined)) continue;
    values.set(ref, opNamed(op).reference(args, attrs, type.shape as number[]));
  }
  return values;
}

function randomElements(plan: Plan, buffer: number, sizes: Sizes): Elements {
  const { dims, stride } = plan.buffers[buffer]!;
  const random = randomSource(buffer + 1);
  // Multiples of 1/256 in [-1, 1): f16 holds them exactly.
  const length = dims.reduce<number>((size, dim) => size * evalDim(dim, sizes), stride);
  return Float32Array.from({ length }, () => Math.floor(random() * 512 - 256) / 256);
}

/** Values that keep the variance of activations about 1, so that no layer drowns an error or overflows. */
export function randomWeights(graph: Graph): Map<string, Float32Array> {
  const random = randomSource(0);
  return new Map(
    graph.params.map(({ ref, type, trainable }) => {
      const shape = type.shape as number[];
      const length = sizeOf(shape);
      const spread = shape.length > 1 ? Math.sqrt(3 / (length / shape[0]!)) : 0.25;
      const centre = trainable ? 0 : 1;
      const value = () => centre + (spread * Math.round((2 * random() - 1) * 64)) / 64;
      return [ref.slice(1), Float32Array.from({ length }, value)];
    }),
  );
}

function randomImage(plan: Plan, channels: number): PlanarImage {
  const random = randomSource(99);
  const [height, width] = [IMAGE_SIZE.height * plan.align, IMAGE_SIZE.width * plan.align];
  return { height, width, data: Float32Array.from({ length: channels * height * width }, random) };
}

async function runOnce(
  device: GPUDevice,
  plan: Plan,
  weights: ReadonlyMap<string, Float32Array>,
  image: PlanarImage,
  tile?: number,
): Promise<PlanarImage> {
  const network = await open(device, plan, weights, tile === undefined ? {} : { tile });
  try {
    return await network.run(image);
  } finally {
    await network.close();
  }
}

/** The largest, in units of the largest expected value. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [largest, worst] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    const d = Math.abs(actual[i]! - expected[i]!);
    // NaN compares false with everything; here it must count.
    if (!(d <= worst)) worst = Number.isNaN(d) ? Infinity : d;
  }
  return worst / Math.max(largest, 1e-30);
}
