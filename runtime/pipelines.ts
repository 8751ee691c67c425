// Compute pipelines of a device, made in parallel and shared by their WGSL text. Binding 0 of every kernel is its
// uniform block at a dynamic offset, so that one bind group serves every tile size.

import { fail, internal } from '../diagnostics.js';
import { checked, STAGE_COMPUTE } from './gpu.js';
import { isTexture } from './kernels/text.js';
import type { Access, PlanKernel } from './plan.js';

export interface Pipeline {
  readonly gpu: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

type KernelText = Pick<PlanKernel, 'name' | 'wgsl' | 'bindings'>;

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get(kernel: KernelText): Promise<Pipeline> {
    let pipeline = this.#pipelines.get(kernel.wgsl);
    if (!pipeline) {
      pipeline = this.#create(kernel);
      this.#pipelines.set(kernel.wgsl, pipeline);
    }
    return pipeline;
  }

  async #create({ name, wgsl, bindings }: KernelText): Promise<Pipeline> {
    const device = this.#device;
    const layout = this.#layout(bindings);
    const module = await checked(device, `kernel ${name}`, () =>
      device.createShaderModule({ label: name, code: wgsl }),
    );
    try {
      const gpu = await device.createComputePipelineAsync({
        label: name,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module },
      });
      return { gpu, layout };
    } catch (error) {
      return internal(`kernel ${name}: ${error instanceof Error ? error.message : error}`);
    }
  }

  #layout(bindings: readonly Access[]): GPUBindGroupLayout {
    const key = bindings.join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#device.createBindGroupLayout({
        entries: [
          { binding: 0, visibility: STAGE_COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
          ...bindings.map(
            (access, i): GPUBindGroupLayoutEntry => ({
              binding: i + 1,
              visibility: STAGE_COMPUTE,
              ...(isTexture(access)
                ? { storageTexture: { access: 'read-only', format: access } }
                : { buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' } }),
            }),
          ),
        ],
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

/** Fails when the kernels were written for another kind of device. */
export function checkFeatures(device: GPUDevice, kernels: readonly PlanKernel[]): void {
  const missing = new Set(
    kernels.flatMap(({ features }) => features.filter((name) => !device.features.has(name))),
  );
  if (missing.size > 0) {
    fail(`this device does not have ${[...missing].join(' and ')}, which the plan needs`, {
      help: missing.has('shader-f16') ? 'use --precision f32' : 'compile the plan for this device',
    });
  }
  const { subgroupMinSize, subgroupMaxSize } = device.adapterInfo;
  const other = kernels.find(
    ({ subgroupSize: size }) => size !== undefined && (size !== subgroupMinSize || size !== subgroupMaxSize),
  );
  if (other) {
    fail(`the plan was compiled for subgroups of ${other.subgroupSize}`, {
      notes: [`this device has subgroups of ${subgroupMinSize} to ${subgroupMaxSize}`],
      help: 'compile the plan for this device',
    });
  }
}
