// The library: compile `.sr` text, open a network on a device, run it. Everything here runs in a browser; what needs
// Node (finding a device, image files) is in node.ts.

import type { Graph } from './compiler/graph.js';
import { lower } from './compiler/lower.js';
import { optimize, type PassLog } from './compiler/passes/pipeline.js';
import { type Summary, summarize } from './compiler/summary.js';
import { GENERIC, type Target, targetFor } from './compiler/target.js';
import { fail, type Source } from './diagnostics.js';
import { load, type Network, type Program } from './dsl/index.js';
import { matchWeights } from './formats/match.js';
import type { WeightFile } from './formats/weights.js';
import { checkPlan, type Network as Executor, open as execute } from './runtime/executor.js';
import type { Tuned } from './runtime/kernels/conv_family.js';
import type { DType, Plan } from './runtime/plan.js';

export { render, UserError } from './diagnostics.js';
export { load } from './dsl/index.js';
export { readWeights } from './formats/detect.js';
export type { PlanarImage } from './runtime/image.js';
export type { ImageSource } from './train/data/images.js';
export type { Recorder } from './train/record.js';
export type { TrainingState } from './train/state.js';
export { type Training, type TrainRequest, train } from './train/train.js';
export type { Executor, Graph, Network, PassLog, Plan, Program, Source, Summary, Target, Tuned, WeightFile };
export { targetFor };

export interface CompileOptions {
  /** Overrides of the generator's parameters and of top-level `let`s: `{ blocks: 6 }`. */
  readonly set?: Readonly<Record<string, number>>;
  /** Name of the network to compile; by default the file's first generator, else its first network. */
  readonly network?: string;
}

/** A network of a `.sr` file, checked and optimized, still independent of any device. */
export interface Compiled {
  readonly program: Program;
  readonly network: Network;
  /** Parameters, multiply-accumulates and receptive radius, as the network is written. */
  readonly summary: Summary;
  /** Fused, as the kernels run it. */
  readonly graph: Graph;
  /** What each pass did. */
  readonly log: readonly PassLog[];
}

/**
 * Compiles a network of a `.sr` file for inference. Throws `UserError` with every mistake of the text, each with its
 * place. `source` is the text itself, or the text with the name to report it under.
 */
export function compile(source: string | Source, { set, network: wanted }: CompileOptions = {}): Compiled {
  const named = typeof source === 'string' ? { name: 'network.sr', text: source } : source;
  const program = load(named, set ? { set } : {});
  const network = pickNetwork(program, wanted);
  const { graph, log } = optimize(network.graph);
  return { program, network, summary: summarize(network.graph), graph, log };
}

function pickNetwork({ networks, source }: Program, name?: string): Network {
  const byName = networks.find((network) => network.name === name);
  const first = networks.find(({ role }) => role === 'generator') ?? networks[0];
  const picked = name === undefined ? first : byName;
  if (picked) return picked;
  const names = networks.map((network) => network.name).join(', ');
  return fail(
    name === undefined ? `${source.name}: no network` : `${source.name}: no network named ${name}`,
    {
      help: names
        ? `it has ${names}`
        : 'write a generator: `generator mine : (3, h, w) -> (3, 4*h, 4*w) { … }`',
    },
  );
}

/** The plan of a compiled network: what the runtime executes. Without a device's target it runs on any. */
export function planFor({ graph }: Compiled, target: Target = GENERIC): Plan {
  return lower(graph, target).plan;
}

export interface PlanOptions {
  readonly weights: WeightFile;
  /** Side of the tiles in pixels of the input; by default as large as fits `memory`. */
  readonly tile?: number;
  /** Bytes of device memory to use at most. */
  readonly memory?: number;
}

export interface OpenOptions extends PlanOptions {
  /** Storage of activations and weights; f16 needs the device's `shader-f16`. */
  readonly precision?: DType;
  /** What `src tune` measured on the device: `NodeDevice.tuned`. */
  readonly tuned?: Tuned;
}

/**
 * Puts a compiled network with its weights on a device. The result's `run` takes planar RGB in [0, 1] of any size and
 * gives planar RGB, not clamped. Throws `UserError` when the weights are another network's.
 */
export function open(device: GPUDevice, compiled: Compiled, options: OpenOptions): Promise<Executor> {
  return openPlan(device, planFor(compiled, targetFor(device, options.precision, options.tuned)), options);
}

/** The same for a plan, such as `src compile -o` writes: needs the runtime only. */
export async function openPlan(
  device: GPUDevice,
  plan: Plan,
  { weights, ...options }: PlanOptions,
): Promise<Executor> {
  checkPlan(plan); // before anything is looked up in it
  return execute(device, plan, matchWeights(plan.parameters, weights), options);
}
