// From an adapter to a device with everything on that makes networks fast, and what people and the compiler need to
// know of it. Works on any GPUAdapter, in the browser and in Node.

import type { MatrixShape } from './kernels/conv2d_matrix.js';
import { MATRICES, matrixFor, rememberMatrix } from './matrices.js';

/** Turned on where the adapter has them. */
const FEATURES: readonly string[] = ['shader-f16', 'subgroups', 'timestamp-query', MATRICES];

/** Raised from WebGPU's defaults (128 MiB bindings, 16 KiB workgroups) to what the adapter can do. */
const LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

export type LimitName = (typeof LIMITS)[number];

export interface Description {
  /** `llvmpipe-llvm-15-0-6-256-bits` */
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly driver: string;
  readonly kind: 'hardware' | 'software';
  readonly features: readonly string[];
  readonly limits: Readonly<Record<LimitName, number>>;
  /** Undefined without subgroups. */
  readonly subgroupSize?: { readonly min: number; readonly max: number };
}

/** What decides which kernels are written for a device. */
export interface DeviceTarget {
  readonly shaderF16: boolean;
  /** Where subgroups exist and always have this size. */
  readonly subgroupSize?: number;
  readonly software: boolean;
  /** Where the device was opened with subgroup matrices. */
  readonly matrix?: MatrixShape;
  readonly limits: Readonly<Record<LimitName, number>>;
}

/** An adapter gives one device; ask for a new adapter for the next. */
export async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const device = await adapter.requestDevice({
    requiredFeatures: [...adapter.features].filter(isWanted),
    requiredLimits: limitsOf(adapter),
  });
  rememberMatrix(device, adapter);
  return device;
}

function isWanted(name: string): name is GPUFeatureName {
  return FEATURES.includes(name);
}

export function describe(adapter: GPUAdapter): Description {
  const { info } = adapter;
  const { vendor, architecture, description } = info;
  return {
    name: adapterName(info),
    vendor,
    architecture,
    driver: description,
    kind: isSoftware(info) ? 'software' : 'hardware',
    features: [...adapter.features].sort(),
    limits: limitsOf(adapter),
    ...(adapter.features.has('subgroups') && {
      subgroupSize: { min: info.subgroupMinSize, max: info.subgroupMaxSize },
    }),
  };
}

/** What people call it. */
export function adapterName({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return device.replace(/-+$/, '') || description || architecture || vendor || 'unnamed adapter';
}

export function targetOf(device: GPUDevice): DeviceTarget {
  const { subgroupMinSize: min, subgroupMaxSize: max } = device.adapterInfo;
  const matrix = matrixFor(device);
  return {
    shaderF16: device.features.has('shader-f16'),
    ...(device.features.has('subgroups') && min === max && { subgroupSize: min }),
    software: isSoftware(device.adapterInfo),
    ...(matrix && { matrix }),
    limits: limitsOf(device),
  };
}

/** Vulkan or Direct3D on the CPU: lavapipe, SwiftShader, WARP. */
function isSoftware(info: GPUAdapterInfo): boolean {
  return (
    info.isFallbackAdapter || /llvmpipe|swiftshader|basic render/i.test(`${info.device} ${info.description}`)
  );
}

function limitsOf({ limits }: { readonly limits: GPUSupportedLimits }): Record<LimitName, number> {
  return Object.fromEntries(LIMITS.map((name) => [name, limits[name]])) as Record<LimitName, number>;
}
