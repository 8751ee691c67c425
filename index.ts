// The library: compile `.sr` text, open a network on a device, run it. Everything here runs in a browser; what needs
// Node (finding a device, image files) is in node.ts.

import type { Graph } from './compiler/graph.js';
import { exportOnnx } from './compiler/onnx/export.js';
import { onnxNetwork } from './compiler/onnx/segments.js';
import { optimizeForExchange, type PassLog } from './compiler/passes/pipeline.js';
import type { Summary } from './compiler/summary.js';
import { type Target, type Tuned, targetFor } from './compiler/target.js';
import type { Source } from './diagnostics.js';
import { type Compiled, planFor } from './dsl/compile.js';
import type { Network, Program } from './dsl/index.js';
import { matchWeights } from './formats/match.js';
import { writeOnnx } from './formats/onnx.js';
import type { WeightFile } from './formats/weights.js';
import {
  checkPlan,
  type Network as DeviceNetwork,
  type Executor,
  open as execute,
} from './runtime/executor.js';
import { type Ort, OrtNetwork } from './runtime/ort-executor.js';
import type { DType, Plan } from './runtime/plan.js';

export { render, UserError } from './diagnostics.js';
export { type Compiled, type CompileOptions, compile, planFor } from './dsl/compile.js';
export { load } from './dsl/index.js';
export { readWeights } from './formats/detect.js';
export type { PlanarImage } from './runtime/image.js';
export { type Profile, profileOf, type Recording } from './runtime/profile.js';
export { measureCeilings } from './runtime/profile-ceilings.js';
export { traceOf } from './runtime/profile-trace.js';
export type { ImageSource } from './train/data/images.js';
export type { Recorder } from './train/record.js';
export type { TrainingState } from './train/state.js';
export { type Training, type TrainRequest, train } from './train/train.js';
export type {
  DeviceNetwork,
  Executor,
  Graph,
  Network,
  Ort,
  PassLog,
  Plan,
  Program,
  Source,
  Summary,
  Target,
  Tuned,
  WeightFile,
};
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
export function open(device: GPUDevice, compiled: Compiled, options: OpenOptions): Promise<DeviceNetwork> {
  return openPlan(device, planFor(compiled, targetFor(device, options.precision, options.tuned)), options);
}

/** The same for a plan, such as `src compile -o` writes: needs the runtime only. */
export async function openPlan(
  device: GPUDevice,
  plan: Plan,
  { weights, ...options }: PlanOptions,
): Promise<DeviceNetwork> {
  checkPlan(plan); // before anything is looked up in it
  return execute(device, plan, matchWeights(plan.parameters, weights), options);
}

/** The same in ONNX Runtime, which `loadOrt` of src/node gives: no GPU is needed. Computes in f32. */
export function openOrt(ort: Ort, compiled: Compiled, { weights, ...options }: PlanOptions): OrtNetwork {
  const { graph, values } = forExchange(compiled, weights);
  return new OrtNetwork(ort, onnxNetwork(graph, values), options);
}

export interface OnnxOptions {
  readonly weights: WeightFile;
  /** Of weights and activations; input and output are f32. */
  readonly precision?: DType;
  /** Facts for whoever finds the file. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Of the program that writes it. */
  readonly version?: string;
}

/** The network as an ONNX file (operator set 17) from `input` to `output`, for images of any size and number. */
export function toOnnx(
  compiled: Compiled,
  { weights, precision = 'f32', metadata = {}, version = '' }: OnnxOptions,
): Uint8Array {
  const { graph, values } = forExchange(compiled, weights);
  const producer = { name: 'src', version };
  return writeOnnx(exportOnnx(graph, values, { precision, metadata, producer }));
}

function forExchange({ network }: Compiled, weights: WeightFile) {
  const graph = optimizeForExchange(network.graph);
  const used = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  const parameters = graph.params
    .filter(({ ref }) => used.has(ref))
    .map(({ ref, type }) => ({ name: ref.slice(1), shape: type.shape as number[] }));
  return { graph, values: matchWeights(parameters, weights) };
}
