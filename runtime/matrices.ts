// Subgroup matrices, an experiment of WebGPU: adapters show the feature only where the user asked for experiments, in Node
// with SRC_SUBGROUP_MATRIX=1, in Chrome with --enable-unsafe-webgpu. Types do not know of it yet.

import type { MatrixShape } from './kernels/conv2d_matrix.js';

interface Config {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

declare global {
  interface GPUAdapterInfo {
    readonly subgroupMatrixConfigs?: readonly Config[];
  }
}

export const MATRICES = 'chromium-experimental-subgroup-matrix';

/** The largest product f16 to f32 that there is. */
export function matrixOf({ subgroupMatrixConfigs = [] }: GPUAdapterInfo): MatrixShape | undefined {
  const shapes = subgroupMatrixConfigs
    .filter((config) => config.componentType === 'f16' && config.resultComponentType === 'f32')
    .map(({ M, N, K }): MatrixShape => [M, N, K]);
  const size = ([m, n, k]: MatrixShape): number => m * n * k;
  return shapes.toSorted((a, b) => size(b) - size(a))[0];
}

/** The info of a device does not have them, that of its adapter does. */
const shapes = new WeakMap<GPUDevice, MatrixShape>();

export function rememberMatrix(device: GPUDevice, adapter: GPUAdapter): void {
  const shape = matrixOf(adapter.info);
  if (shape && device.features.has(MATRICES)) shapes.set(device, shape);
}

export function matrixFor(device: GPUDevice): MatrixShape | undefined {
  return shapes.get(device);
}
