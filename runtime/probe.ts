// Runs one step of a plan alone, on tensors of the caller's making: how kernels are checked on a user's own device, in
// the very layout, precision and text that the plan uses.

import { internal } from '../diagnostics.js';
import { f16ToF32, f32ToF16 } from '../formats/half.js';
import { type Constants, uploadConstants } from './constant-buffers.js';
import type { Weights } from './constants.js';
import { evalDim, type Sizes } from './dims.js';
import { bindGroup } from './dispatch.js';
import { checked, MAP_READ, Usage } from './gpu.js';
import { isTexture } from './kernels/text.js';
import { ALIGNMENT, bufferBytes } from './memory.js';
import { createTextures, writeElements } from './mirrors.js';
import { checkFeatures, Pipelines } from './pipelines.js';
import type { DType, Plan, Step } from './plan.js';
import { axisGroups } from './schedule.js';

/** Every element of a buffer of the plan, `[n][h][w][stride]`. */
export type Elements = Float32Array<ArrayBuffer>;

export class Probe {
  readonly #device: GPUDevice;
  readonly #plan: Plan;
  readonly #pipelines: Pipelines;
  readonly #constants: Constants;

  private constructor(device: GPUDevice, plan: Plan, constants: Constants) {
    this.#device = device;
    this.#plan = plan;
    this.#pipelines = new Pipelines(device);
    this.#constants = constants;
  }

  static async open(device: GPUDevice, plan: Plan, weights: Weights): Promise<Probe> {
    checkFeatures(device, plan.kernels);
    return new Probe(device, plan, await uploadConstants(device, plan, weights));
  }

  /** What the buffer that `step` writes then holds. `contents` gives every buffer that it binds. */
  async run(step: Step, sizes: Sizes, contents: ReadonlyMap<number, Elements>): Promise<Elements> {
    const device = this.#device;
    const { buffers, kernels } = this.#plan;
    const kernel = kernels[step.kernel] ?? internal(`no kernel ${step.kernel}`);
    const { gpu, layout } = await this.#pipelines.get(kernel);
    const owned: (GPUBuffer | GPUTexture)[] = [];
    const make = (size: number, usage: number) => {
      const buffer = device.createBuffer({ size, usage });
      owned.push(buffer);
      return buffer;
    };
    const { dtype, name } = buffers[step.writes.buffer]!;
    let result: GPUBuffer | undefined;
    try {
      const storage: GPUBindingResource[] = [];
      for (const [i, bound] of step.bindings.entries()) {
        const access = kernel.bindings[i]!;
        if ('constant' in bound) {
          storage.push(this.#constants.resource(bound.constant, access));
          continue;
        }
        const described = buffers[bound.buffer]!;
        const bytes = bufferBytes(described, sizes);
        const elements = contents.get(bound.buffer) ?? internal(`no contents for ${described.name}`);
        const data = encode(elements, described.dtype);
        if (isTexture(access)) {
          const [texture] = await createTextures(device, step.name, [{ format: access, bytes }]);
          owned.push(texture!);
          writeElements(device.queue, texture!, data);
          storage.push(texture!.createView());
          continue;
        }
        const buffer = make(bytes, Usage.storage | Usage.copySrc | Usage.copyDst);
        device.queue.writeBuffer(buffer, 0, data);
        if (bound.buffer === step.writes.buffer) result = buffer;
        storage.push({ buffer });
      }
      const uniforms = make(ALIGNMENT, Usage.uniform | Usage.copyDst);
      device.queue.writeBuffer(
        uniforms,
        0,
        Uint32Array.from(step.uniforms, (dim) => evalDim(dim, sizes)),
      );
      const written = result ?? internal(`${step.name} does not bind ${name}`);
      const readback = make(written.size, Usage.mapRead | Usage.copyDst);

      await checked(device, step.name, () => {
        const group = bindGroup(device, step.name, layout, uniforms, storage);
        const encoder = device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        pass.setPipeline(gpu);
        pass.setBindGroup(0, group, [0]);
        pass.dispatchWorkgroups(...axisGroups(step.workgroups, sizes));
        pass.end();
        encoder.copyBufferToBuffer(written, 0, readback, 0, written.size);
        device.queue.submit([encoder.finish()]);
      });
      await readback.mapAsync(MAP_READ);
      return decode(readback.getMappedRange().slice(0), dtype, contents.get(step.writes.buffer)!.length);
    } finally {
      for (const one of owned) one.destroy();
    }
  }

  close(): void {
    this.#constants.destroy();
  }
}

export function encode(
  elements: Elements,
  dtype: DType,
): Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> {
  if (dtype === 'f32') return elements;
  const halves = new Uint16Array(elements.length + (elements.length % 2));
  halves.set(f32ToF16(elements));
  return halves;
}

export function decode(bytes: ArrayBuffer, dtype: DType, length: number): Elements {
  if (dtype === 'f32') return new Float32Array(bytes, 0, length);
  return Float32Array.from(f16ToF32(new Uint16Array(bytes, 0, length)));
}
