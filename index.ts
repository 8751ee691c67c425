// The library: compile `.sr` text, open a network on a device, run it. Everything here runs in a browser; what needs
// Node (finding a device, image files) is in node.ts.

import type { Graph } from './compiler/graph.js';
import type { PassLog } from './compiler/passes/pipeline.js';
import type { Summary } from './compiler/summary.js';
import { type Target, targetFor } from './compiler/target.js';
import type { Source } from './diagnostics.js';
import { type Compiled, planFor } from './dsl/compile.js';
import type { Network, Program } from './dsl/index.js';
import { matchWeights } from './formats/match.js';
import type { WeightFile } from './formats/weights.js';
import { checkPlan, type Network as Executor, open as execute } from './runtime/executor.js';
import type { Tuned } from './runtime/kernels/conv_family.js';
import type { DType, Plan } from './runtime/plan.js';

export { render, UserError } from './diagnostics.js';
export { type Compiled, type CompileOptions, compile, planFor } from './dsl/compile.js';
export { load } from './dsl/index.js';
export { readWeights } from './formats/detect.js';
export type { PlanarImage } from './runtime/image.js';
export type { ImageSource } from './train/data/images.js';
export type { Recorder } from './train/record.js';
export type { TrainingState } from './train/state.js';
export { type Training, type TrainRequest, train } from './train/train.js';
export type { Executor, Graph, Network, PassLog, Plan, Program, Source, Summary, Target, Tuned, WeightFile };
export { targetFor };

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
