// What the compiler must know of a device to choose kernels. `src compile` needs no device: it uses GENERIC.

import { targetOf } from '../runtime/device.js';
import type { ConvChoice, ConvDevice, Tuned } from '../runtime/kernels/conv_family.js';
import type { DType } from '../runtime/plan.js';

export type { ConvChoice, Tuned };

export interface Target extends ConvDevice {
  /** Storage of activations and weights; f16 needs the device's `shader-f16`. */
  readonly precision: DType;
  /** What `src tune` measured on this device. */
  readonly tuned?: Tuned;
}

export const GENERIC: Target = { precision: 'f32', software: false };

/** What the compiler must know of a device; `tuned` is what `src tune` measured on it. */
export function targetFor(device: GPUDevice, precision: DType = 'f32', tuned: Tuned = {}): Target {
  const { software, subgroupSize, matrix } = targetOf(device);
  return {
    ...{ precision, software, tuned },
    ...(subgroupSize !== undefined && { subgroupSize }),
    ...(matrix && { matrix }),
  };
}
