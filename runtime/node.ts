// The door to WebGPU in Node: opens a device through the `webgpu` package (Dawn) and closes it so that the process
// can end. Nothing outside cli/ and the node*.ts files imports `webgpu` or `node:*`.

import { fail } from '../diagnostics.js';
import { type Description, describe, requestDevice } from './device.js';

export interface NodeDevice {
  readonly gpu: GPUDevice;
  readonly description: Description;
  /** One line: what was chosen, and how to get a faster one. */
  readonly summary: string;
  close(): Promise<void>;
}

export interface DeviceOptions {
  /** `auto`, `hardware`, `software`, or a part of an adapter's name. */
  readonly device?: string;
}

/** Instances of Dawn in use: one that is garbage-collected takes its devices, and the process, down with it. */
const instances = new Set<GPU>();

export async function openDevice(_options: DeviceOptions = {}): Promise<NodeDevice> {
  const { create } = await import('webgpu');
  const gpu = create(['backend=vulkan', 'enable-dawn-features=vulkan_enable_f16_on_nvidia']);
  instances.add(gpu);
  const adapter = await gpu.requestAdapter();
  if (!adapter) fail('no GPU');
  const description = describe(adapter);
  const device = await requestDevice(adapter);
  return {
    gpu: device,
    description,
    summary: description.name,
    async close() {
      await device.queue.onSubmittedWorkDone();
      device.destroy();
      instances.delete(gpu);
    },
  };
}
