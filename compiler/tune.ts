// Measures, on a device, the candidates of every class of convolutions that a plan contains, each as the plan would run
// it: the same step, buffers and copies, with another kernel.

import { type ConvChoice, candidates, classKey } from '../runtime/kernels/conv_family.js';
import { Pipelines } from '../runtime/pipelines.js';
import { type Size, sizesOf, stepMacs } from '../runtime/schedule.js';
import { roundSize } from '../runtime/tiles.js';
import { Stopwatch } from '../runtime/tune-clock.js';
import { type Graph, typesOf } from './graph.js';
import type { Lowered } from './lower.js';
import { convClassOf } from './ops/conv-choice.js';
import type { Target } from './target.js';
import { type Fault, measure, type Timing } from './tune-measure.js';

/** What is measured: a graph and its plans. */
export interface Subject {
  readonly graph: Graph;
  lower(target: Target): Lowered;
  /** Of the input, where the graph does not say. */
  readonly size?: Size;
}

export interface TuneOptions {
  /** Milliseconds for all of it, about: every candidate is run a few times however long that takes. */
  readonly budget: number;
  readonly signal?: AbortSignal | undefined;
  /** Told before a class is measured. */
  readonly onClass?: (key: string, index: number, of: number) => void;
  /** What is known already, by class. */
  readonly known?: ReadonlyMap<string, Measured>;
}

/** A class of the convolutions of a subject. The times are those of all of them. */
export interface Measured {
  readonly key: string;
  /** How many convolutions it has, and their multiply-accumulates. */
  readonly count: number;
  readonly macs: number;
  /** What runs where nothing was measured. */
  readonly heuristic: Timing;
  readonly best: Timing;
  /** The best where that pays, else the heuristic's. */
  readonly chosen: Timing;
  readonly faults: readonly Fault[];
}

/** What a choice must gain to be worth another rounding, and to be no accident of measuring. */
const LEAST_GAIN = 0.03;

/** The classes of the subject, the one with the most work first. */
export async function* tune(
  device: GPUDevice,
  subject: Subject,
  target: Target,
  { budget, signal, onClass, known = new Map() }: TuneOptions,
): AsyncGenerator<Measured> {
  const classes = classesOf(subject, target);
  const plans = plansOf(subject, target, classes);
  const pipelines = new Pipelines(device);
  const stopwatch = await Stopwatch.open(device);
  const setting = { device, pipelines, stopwatch, signal, target };
  const end = performance.now() + budget;
  let left = classes.filter(({ key }) => !known.has(key)).length;
  try {
    for (const [index, { key, count, macs, step, choices }] of classes.entries()) {
      const before = known.get(key);
      if (before) {
        yield { ...before, ...scaled(before, macs / before.macs), count, macs };
        continue;
      }
      onClass?.(key, index, classes.length);
      const rivals = choices.map((choice, i) => ({ choice, lowered: plans[i]! }));
      const share = (end - performance.now()) / left--;
      const result = await measure(setting, { ...subject, step, rivals, macs }, share);
      yield { key, count, macs, ...decide(result.timings), faults: result.faults };
    }
  } finally {
    stopwatch.close();
  }
}

/** `timings` begin with the heuristic's. */
export function decide(timings: readonly Timing[]): Pick<Measured, 'heuristic' | 'best' | 'chosen'> {
  const heuristic = timings[0]!;
  const best = timings.reduce((one, other) => (other.ms < one.ms ? other : one));
  return { heuristic, best, chosen: best.ms <= (1 - LEAST_GAIN) * heuristic.ms ? best : heuristic };
}

function scaled({ heuristic, best, chosen }: Measured, factor: number) {
  const scale = ({ choice, ms }: Timing): Timing => ({ choice, ms: ms * factor });
  return { heuristic: scale(heuristic), best: scale(best), chosen: scale(chosen) };
}

interface FoundClass {
  readonly key: string;
  readonly choices: readonly ConvChoice[];
  readonly count: number;
  readonly macs: number;
  /** Of the plan: the largest of the class, which stands for all. */
  readonly step: number;
}

function classesOf({ graph, lower, size }: Subject, target: Target): FoundClass[] {
  const { plan, origins } = lower(target);
  const types = typesOf(graph);
  const sizes = size ? sizesOf(roundSize(size, plan.align)) : {};
  const found = new Map<string, FoundClass>();
  const macsOf = (step: number): number => stepMacs(plan.steps[step]!, plan.buffers, sizes);
  for (const [step, node] of origins.entries()) {
    const inputs = node.inputs.map((ref) => types.get(ref)!);
    const of = convClassOf(node, inputs, target.precision);
    if (!of) continue;
    const key = classKey(of);
    const macs = macsOf(step);
    const known = found.get(key);
    const largest = known && macsOf(known.step) >= macs ? known : { step, choices: candidates(of, target) };
    found.set(key, {
      key,
      step: largest.step,
      choices: largest.choices,
      count: 1 + (known?.count ?? 0),
      macs: macs + (known?.macs ?? 0),
    });
  }
  return [...found.values()].sort((a, b) => b.macs - a.macs);
}

/** Plan i has the i-th candidate of each class, or the first where there are fewer: plans differ in nothing else. */
function plansOf({ lower }: Subject, target: Target, classes: readonly FoundClass[]): Lowered[] {
  const most = Math.max(0, ...classes.map(({ choices }) => choices.length));
  return Array.from({ length: most }, (_, i) => {
    const tuned = classes.map(({ key, choices }) => [key, choices[i] ?? choices[0]!] as const);
    return lower({ ...target, tuned: Object.fromEntries(tuned) });
  });
}
