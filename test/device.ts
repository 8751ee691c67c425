// Runs one KernelCall on plain arrays: as little as a kernel test needs, independent of the runtime under test.

import { create, globals } from 'webgpu';
import { evalDim, type Sizes } from '../runtime/dims.js';
import type { KernelCall } from '../runtime/kernels/kernel.js';
import { isTexture, TEXTURE_WIDTH } from '../runtime/kernels/text.js';
import { MATRICES, matrixOf } from '../runtime/matrices.js';
import type { Axis, DType, TextureFormat } from '../runtime/plan.js';
import { decode, encode } from './half.js';

export interface Storage {
  readonly dtype: DType;
  readonly data: Float32Array;
}

Object.assign(globalThis, globals);

/** Kept reachable for the life of the process: Dawn dies with its devices when this is collected. */
export const gpu = create(['backend=vulkan', 'enable-dawn-features=allow_unsafe_apis']);
const adapter = await gpu.requestAdapter();

/** Undefined where the machine has no adapter; suites that need one are then skipped and say so. */
export const device = adapter ? await openDevice(adapter) : undefined;
export const subgroupSize =
  adapter?.info.subgroupMinSize === adapter?.info.subgroupMaxSize ? adapter?.info.subgroupMinSize : undefined;
/** Where the device has subgroup matrices. */
export const matrix = adapter && device?.features.has(MATRICES) ? matrixOf(adapter.info) : undefined;
export const dtypes: readonly DType[] = device?.features.has('shader-f16') ? ['f32', 'f16'] : ['f32'];

if (!device) {
  if (process.env.SRC_REQUIRE_DEVICE) throw new Error('SRC_REQUIRE_DEVICE is set, but there is no adapter');
  console.warn(
    '\nNO WEBGPU ADAPTER: every kernel test is SKIPPED. Install lavapipe (mesa-vulkan-drivers).\n',
  );
} else if (!subgroupSize || !device.features.has('subgroups')) {
  console.warn('\nNO FIXED SUBGROUP SIZE: tests of the subgroup convolution are SKIPPED.\n');
}

const pipelines = new Map<string, Promise<GPUComputePipeline>>();

/** Launches `call` and returns what its storage bindings then hold. */
export async function launch(
  call: KernelCall,
  slots: readonly Storage[],
  sizes: Sizes,
): Promise<Float32Array[]> {
  const gpuDevice = device as GPUDevice;
  const pipeline = await pipelineFor(gpuDevice, call);
  const buffers = slots.map(({ data, dtype }) =>
    upload(gpuDevice, encode(data, dtype), GPUBufferUsage.STORAGE),
  );
  const textures = call.bindings.map((access, slot) =>
    isTexture(access) ? textureOf(gpuDevice, slots[slot]!, access) : undefined,
  );
  const words = call.uniforms.map((dim) => evalDim(dim, sizes));
  const padded = new Uint32Array(Math.ceil(words.length / 4) * 4);
  padded.set(words);
  const uniform = upload(gpuDevice, padded, GPUBufferUsage.UNIFORM);
  const bindings = gpuDevice.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [uniform, ...buffers].map((buffer, binding) => ({
      binding,
      resource: textures[binding - 1]?.createView() ?? { buffer },
    })),
  });
  const encoder = gpuDevice.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindings);
  const [x, y, z] = call.workgroups.map((axis) => axisCount(axis, sizes)) as [number, number, number];
  pass.dispatchWorkgroups(x, y, z);
  pass.end();
  const readbacks = buffers.map((buffer) => {
    const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
    const target = gpuDevice.createBuffer({ size: buffer.size, usage });
    encoder.copyBufferToBuffer(buffer, 0, target, 0, buffer.size);
    return target;
  });
  gpuDevice.queue.submit([encoder.finish()]);
  const results = await Promise.all(
    readbacks.map(async (buffer, slot) => {
      await buffer.mapAsync(GPUMapMode.READ);
      return decode(buffer.getMappedRange().slice(0), slots[slot]!.dtype, slots[slot]!.data.length);
    }),
  );
  for (const one of [uniform, ...buffers, ...readbacks, ...textures]) one?.destroy();
  return results;
}

export function axisCount(axis: Axis, sizes: Sizes): number {
  return axis.reduce((product, { dim, per }) => product * Math.ceil(evalDim(dim, sizes) / per), 1);
}

async function openDevice(from: GPUAdapter): Promise<GPUDevice> {
  const useful: readonly string[] = ['shader-f16', 'subgroups', MATRICES];
  const { maxStorageBufferBindingSize, maxBufferSize } = from.limits;
  return from.requestDevice({
    requiredFeatures: [...from.features].filter((name): name is GPUFeatureName => useful.includes(name)),
    requiredLimits: { maxStorageBufferBindingSize, maxBufferSize },
  });
}

/** Compilation errors reject with the compiler's messages. */
function pipelineFor(gpuDevice: GPUDevice, call: KernelCall): Promise<GPUComputePipeline> {
  const known = pipelines.get(call.wgsl);
  if (known) return known;
  const entries: GPUBindGroupLayoutEntry[] = [
    { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } },
    ...call.bindings.map((access, slot) => ({
      binding: slot + 1,
      visibility: GPUShaderStage.COMPUTE,
      ...(isTexture(access)
        ? { storageTexture: { access: 'read-only' as const, format: access } }
        : { buffer: { type: access === 'read' ? ('read-only-storage' as const) : ('storage' as const) } }),
    })),
  ];
  const pipeline = gpuDevice.createComputePipelineAsync({
    layout: gpuDevice.createPipelineLayout({
      bindGroupLayouts: [gpuDevice.createBindGroupLayout({ entries })],
    }),
    compute: { module: gpuDevice.createShaderModule({ code: call.wgsl, label: call.name }) },
  });
  pipelines.set(call.wgsl, pipeline);
  return pipeline;
}

/** A texture whose texels are the elements of four channels, in rows as kernels expect them. */
function textureOf(gpuDevice: GPUDevice, { data, dtype }: Storage, format: TextureFormat): GPUTexture {
  const rows = Math.ceil(data.length / 4 / TEXTURE_WIDTH);
  const padded = new Float32Array(4 * TEXTURE_WIDTH * rows);
  padded.set(data);
  const size = [TEXTURE_WIDTH, rows];
  const usage = GPUTextureUsage.COPY_DST | GPUTextureUsage.STORAGE_BINDING;
  const texture = gpuDevice.createTexture({ format, size, usage });
  const bytesPerRow = TEXTURE_WIDTH * (format === 'rgba32float' ? 16 : 8);
  gpuDevice.queue.writeTexture({ texture }, encode(padded, dtype), { bytesPerRow }, size);
  return texture;
}

function upload(
  gpuDevice: GPUDevice,
  data: ArrayBufferView<ArrayBuffer>,
  usage: GPUBufferUsageFlags,
): GPUBuffer {
  const size = Math.ceil(data.byteLength / 16) * 16;
  const buffer = gpuDevice.createBuffer({
    size,
    usage: usage | GPUBufferUsage.COPY_SRC,
    mappedAtCreation: true,
  });
  new Uint8Array(buffer.getMappedRange()).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  buffer.unmap();
  return buffer;
}
