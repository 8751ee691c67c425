// A network on the device that was chosen for it, whichever way that computes.

import type { WeightFile } from '../formats/weights.js';
import { type Compiled, type DeviceNetwork, type Executor, open, openOrt } from '../index.js';
import type { NodeDevice } from '../runtime/node.js';
import type { CpuDevice } from '../runtime/node-choice.js';

export interface Opening {
  readonly weights: WeightFile;
  readonly precision: 'f32' | 'f16';
  readonly tile?: number;
}

/** What the device will compute in: ONNX Runtime is no faster on the CPU in f16, and less exact. */
export function precisionOn(device: NodeDevice | CpuDevice, wanted: 'f32' | 'f16'): 'f32' | 'f16' {
  return 'ort' in device ? 'f32' : wanted;
}

/** One line: what was chosen and why, and what it computes in where that was not what is wanted. */
export function summaryOn(device: NodeDevice | CpuDevice, wanted: 'f32' | 'f16'): string {
  const used = precisionOn(device, wanted);
  return used === wanted ? device.summary : `${device.summary}, in ${used}`;
}

export async function openOn(
  device: NodeDevice | CpuDevice,
  compiled: Compiled,
  opening: Opening,
): Promise<Executor> {
  if (!('ort' in device)) return openOnGpu(device, compiled, opening);
  const { precision: _, ...options } = opening;
  return openOrt(device.ort, compiled, { ...options, memory: device.memory });
}

export function openOnGpu(
  { gpu, memory, tuned }: NodeDevice,
  compiled: Compiled,
  opening: Opening,
): Promise<DeviceNetwork> {
  return open(gpu, compiled, { ...opening, memory, tuned });
}
