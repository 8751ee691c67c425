// Chooses segments and tiles for an image size and a device.

import type { Facts } from './halo.js';
import { roundUp } from './kernels/kernel.js';
import { buildSchedule, type Schedule, type Size } from './schedule.js';

export interface Limits {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  /** Bytes of device memory to use at most. */
  readonly memory: number;
}

export function planTiles(facts: Facts, image: Size, limits: Limits, tile?: number): Schedule {
  const { plan } = facts;
  const size = { height: roundUp(image.height, plan.align), width: roundUp(image.width, plan.align) };
  const choice = { end: plan.steps.length, tile: tile ? { height: tile, width: tile } : size };
  return buildSchedule(facts, size, [choice], limits.maxStorageBufferBindingSize);
}
