// What the adapter exposes, with everything that Dawn keeps back from pages switched on: what kernels could use. Prints
// one JSON line.

import { create } from 'webgpu';
import { printBytes } from '../../runtime/gpu.js';

/** Reachable to the end: Dawn dies with its adapters when this is collected. */
const gpu = create([
  ...(process.platform === 'linux' ? ['backend=vulkan'] : []),
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
]);

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxStorageBuffersPerShaderStage',
] as const;

const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
if (!adapter) throw new Error('there is no adapter');
const { features, limits, info } = adapter;
const { subgroupMatrixConfigs = [] } = info as GPUAdapterInfo & {
  subgroupMatrixConfigs?: Iterable<Readonly<Record<string, unknown>>>;
};
const matrices = Array.from(
  subgroupMatrixConfigs,
  ({ M, N, K, componentType, resultComponentType }) =>
    `${M}x${N}x${K} ${componentType} to ${resultComponentType}`,
);
const facts: readonly (readonly [name: string, value: string])[] = [
  ['adapter', `${info.vendor} ${info.architecture} ${info.device}`],
  ['driver', info.description],
  ['f16', features.has('shader-f16') ? 'yes' : 'no'],
  ['subgroups', features.has('subgroups') ? `${info.subgroupMinSize} to ${info.subgroupMaxSize}` : 'no'],
  ['subgroup matrices', matrices.join(', ') || 'none'],
  ['timestamps', features.has('timestamp-query') ? 'yes' : 'no'],
  ...LIMITS.map((name) => {
    const value = limits[name];
    return [name, name.endsWith('Size') ? printBytes(value) : String(value)] as const;
  }),
  ['features', [...features].sort().join(', ')],
];
process.stdout.write(`${JSON.stringify(facts)}\n`);
