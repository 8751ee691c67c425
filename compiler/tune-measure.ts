// The candidates of one class of convolutions against one another. Each must compute what the first one does, within
// rounding, so that a wrong one never wins.

import { internal } from '../diagnostics.js';
import type { Sizes } from '../runtime/dims.js';
import type { ConvChoice } from '../runtime/kernels/conv_family.js';
import { bufferBytes } from '../runtime/memory.js';
import type { Pipelines } from '../runtime/pipelines.js';
import type { ConstantExpr, DType, Plan } from '../runtime/plan.js';
import type { Elements } from '../runtime/probe.js';
import { type Size, sizesOf, stepMacs } from '../runtime/schedule.js';
import { roundSize } from '../runtime/tiles.js';
import { Bench } from '../runtime/tune-bench.js';
import type { Stopwatch } from '../runtime/tune-clock.js';
import { race } from '../runtime/tune-race.js';
import { alone, type LoneStep, openStep } from '../runtime/tune-step.js';
import type { Graph, Ref } from './graph.js';
import type { Lowered } from './lower.js';
import { difference, randomWeights } from './selfcheck.js';
import type { Target } from './target.js';
import { contentsOf } from './tune-contents.js';

/** A candidate, and what all convolutions of its class take with it. */
export interface Timing {
  readonly choice: ConvChoice;
  readonly ms: number;
}

/** A candidate that cannot be run, or computes something else than the first one. */
export interface Fault {
  readonly choice: ConvChoice;
  readonly what: string;
}

export interface Setting {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly stopwatch: Stopwatch;
  readonly signal: AbortSignal | undefined;
  readonly target: Target;
}

/** A class, and the step of plans that stands for it. */
export interface Contest {
  readonly graph: Graph;
  readonly step: number;
  /** The heuristic's choice comes first. Their plans differ in nothing but kernels. */
  readonly rivals: readonly { readonly choice: ConvChoice; readonly lowered: Lowered }[];
  /** Of the whole class. */
  readonly macs: number;
  readonly size?: Size;
}

/** Relative to the largest value. */
const TOLERANCE: Readonly<Record<DType, number>> = { f32: 1e-4, f16: 4e-3 };

/** What fills a device and keeps measurements short: of larger images, a part is computed. */
const MOST_MACS = { software: 5e8, hardware: 4e9 };
/** A binding that every device allows. */
const MOST_BYTES = 2 ** 27;

/** Takes about `budget` milliseconds, beside compiling. The timings that come first are the heuristic's. */
export async function measure(
  setting: Setting,
  { graph, step, rivals, macs, size }: Contest,
  budget: number,
): Promise<{ readonly timings: Timing[]; readonly faults: Fault[] }> {
  const { device, pipelines, stopwatch, signal, target } = setting;
  const candidates = rivals.map(({ choice, lowered }) => ({ choice, own: alone(lowered.plan, step) }));
  const [first, plan] = [rivals[0]!.lowered, candidates[0]!.own];
  const sizes = size ? fitting(plan, size, MOST_MACS[target.software ? 'software' : 'hardware']) : {};
  const weights = randomWeights({ ...graph, params: graph.params.filter(({ ref }) => isRead(plan, ref)) });
  const bench = await Bench.open(device, plan, sizes, contentsOf(graph, first, step, sizes));
  const entrants: { readonly choice: ConvChoice; readonly lone: LoneStep }[] = [];
  const faults: Fault[] = [];
  const texts = new Set<string>();
  let expected: Elements | undefined;
  try {
    // Drivers compile in parallel; what is wrong with a kernel is told when its turn comes.
    await Promise.allSettled(candidates.map(({ own }) => pipelines.get(own.kernels[0]!)));
    for (const { choice, own } of candidates) {
      signal?.throwIfAborted();
      const text = JSON.stringify([own.kernels, own.steps]);
      if (texts.has(text)) continue;
      texts.add(text);
      let lone: LoneStep | undefined;
      try {
        lone = await openStep({ ...setting, plan: own, sizes, weights, tensors: bench.tensors });
        const output = await bench.output(lone, stopwatch);
        expected ??= output;
        const error = difference(output, expected);
        if (error > TOLERANCE[target.precision]) internal(`the result differs by ${error.toExponential(1)}`);
        entrants.push({ choice, lone });
      } catch (error) {
        lone?.destroy();
        if (entrants.length === 0 || !isBug(error)) throw error;
        faults.push({ choice, what: error.message.replace('internal: ', '') });
      }
    }
    const runners = entrants.map(({ lone }) => (runs: number) => {
      signal?.throwIfAborted();
      return stopwatch.time(lone.work, runs);
    });
    const times = await race(runners, budget);
    const factor = macs / stepMacs(plan.steps[0]!, plan.buffers, sizes);
    return { timings: entrants.map(({ choice }, i) => ({ choice, ms: factor * times[i]! })), faults };
  } finally {
    for (const { lone } of entrants) lone.destroy();
    bench.close();
  }
}

function isBug(error: unknown): error is Error {
  return error instanceof Error && error.message.startsWith('internal: ');
}

/** The size of the input, or of the part of it that is enough. */
export function fitting(plan: Plan, whole: Size, mostMacs: number): Sizes {
  const step = plan.steps[0]!;
  const size = roundSize(whole, plan.align);
  const sizes = sizesOf(size);
  const bytes = step.bindings.map((bound) =>
    'buffer' in bound ? bufferBytes(plan.buffers[bound.buffer]!, sizes) : 0,
  );
  const fits = stepMacs(step, plan.buffers, sizes) <= mostMacs && Math.max(...bytes) <= MOST_BYTES;
  if (fits || Math.max(size.width, size.height) <= plan.align) return sizes;
  return fitting(plan, { width: Math.ceil(size.width / 2), height: Math.ceil(size.height / 2) }, mostMacs);
}

/** Whether a constant of the plan depends on a parameter. */
function isRead({ constants }: Plan, ref: Ref): boolean {
  const reads = (expr: ConstantExpr): boolean =>
    'param' in expr ? `@${expr.param}` === ref : 'args' in expr && expr.args.some(reads);
  return constants.some(({ value }) => reads(value));
}
