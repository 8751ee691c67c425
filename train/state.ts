// Everything that a training run is: what a checkpoint holds. Taking it up again gives the same bits.

import type { Tuned } from '../compiler/target.js';
import { adapterName } from '../runtime/device.js';

/** Tensors by the names of the step's graph (`esrgan.conv.weight`, `critic.conv.weight`), row-major in PyTorch layout. */
export type Tensors = ReadonlyMap<string, Float32Array>;

export interface TrainingState {
  readonly stage: string;
  /** Steps of the stage that are done: the number of the next batch follows from it. */
  readonly step: number;
  /** Parameters and running statistics. */
  readonly values: Tensors;
  /** Adam's first and second moments of what is trained. */
  readonly moment1: Tensors;
  readonly moment2: Tensors;
  /** The exponential moving average of the generator's parameters, where the stage has one. */
  readonly average?: Tensors;
  /** Of mixed precision. */
  readonly lossScale?: LossScale;
  /** How convolutions were computed so far. */
  readonly kernels?: Kernels;
}

/** Choices of kernels decide how sums are rounded; they mean something on the adapter that they were measured on. */
export interface Kernels {
  readonly adapter: string;
  readonly tuned: Tuned;
}

export interface LossScale {
  readonly scale: number;
  /** Steps since the last overflow. */
  readonly since: number;
}

/** The choices to train with: on the adapter where it began, a training keeps those that it began with. */
export function tunedFor(
  { adapterInfo }: GPUDevice,
  begun: Pick<TrainingState, 'kernels'> | undefined,
  measured: Tuned,
): Tuned {
  const kernels = begun?.kernels;
  return kernels?.adapter === adapterName(adapterInfo) ? kernels.tuned : measured;
}
