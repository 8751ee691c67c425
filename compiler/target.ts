// What the compiler must know of a device to choose kernels. `src compile` needs no device: it uses GENERIC.

import { targetOf } from '../runtime/device.js';
import type { DType } from '../runtime/plan.js';

export interface Target {
  /** Storage of activations and weights; f16 needs the device's `shader-f16`. */
  readonly precision: DType;
  /** Lanes of a subgroup where the device supports subgroups and fixes their size, else undefined. */
  readonly subgroupSize?: number;
  /** A Vulkan implemented on the CPU: scalar loads and subgroup broadcasts beat vec4 loads there. */
  readonly software: boolean;
}

export const GENERIC: Target = { precision: 'f32', software: false };

/** What the compiler must know of a device. */
export function targetFor(device: GPUDevice, precision: DType = 'f32'): Target {
  const { software, subgroupSize } = targetOf(device);
  return { precision, software, ...(subgroupSize !== undefined && { subgroupSize }) };
}
