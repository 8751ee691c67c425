// A device of Dawn's null backend: it has every feature and every check of WebGPU, and computes nothing.

import { create } from 'webgpu';

/** Kept reachable: Dawn dies with its devices when this is collected. */
export const nullGpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);

export async function openNullDevice(features: readonly string[]): Promise<GPUDevice> {
  const adapter = await nullGpu.requestAdapter();
  if (!adapter) throw new Error('Dawn has no null backend');
  const requiredFeatures = [...adapter.features].filter((name): name is GPUFeatureName =>
    features.includes(name),
  );
  return adapter.requestDevice({ requiredFeatures });
}
