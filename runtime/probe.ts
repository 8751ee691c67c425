// Runs one step of a plan alone, on tensors of the caller's making: how kernels are checked on a user's own device, in
// the very layout, precision and text that the plan uses.

import { internal } from '../diagnostics.js';
import { f16ToF32, f32ToF16 } from '../formats/half.js';
import { uploadConstants } from './constant-buffers.js';
import type { Weights } from './constants.js';
import { evalDim, type Sizes } from './dims.js';
import { checked, MAP_READ, Usage } from './gpu.js';
import { ALIGNMENT, bufferBytes } from './memory.js';
import { checkFeatures, Pipelines } from './pipelines.js';
import type { DType, Plan, Step } from './plan.js';
import { axisGroups } from './schedule.js';

/** Every element of a buffer of the plan, `[n][h][w][stride]`. */
export type Elements = Float32Array<ArrayBuffer>;

export class Probe {
  readonly #device: GPUDevice;
  readonly #plan: Plan;
  readonly #pipelines: Pipelines;
  readonly #constants: Awaited<ReturnType<typeof uploadConstants>>;

  private constructor(device: GPUDevice, plan: Plan, constants: Awaited<ReturnType<typeof uploadConstants>>) {
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
    const { gpu, layout } = await this.#pipelines.get(
      kernels[step.kernel] ?? internal(`no kernel ${step.kernel}`),
    );
    const owned: GPUBuffer[] = [];
    const make = (size: number, usage: number) => {
      const buffer = device.createBuffer({ size, usage });
      owned.push(buffer);
      return buffer;
    };
    try {
      const storage = step.bindings.map((binding) => {
        if ('constant' in binding) return this.#constants.bindings[binding.constant]!;
        const described = buffers[binding.buffer]!;
        const buffer = make(bufferBytes(described, sizes), Usage.storage | Usage.copySrc | Usage.copyDst);
        const elements = contents.get(binding.buffer) ?? internal(`no contents for ${described.name}`);
        device.queue.writeBuffer(buffer, 0, encode(elements, described.dtype));
        return { buffer };
      });
      const uniforms = make(ALIGNMENT, Usage.uniform | Usage.copyDst);
      device.queue.writeBuffer(
        uniforms,
        0,
        Uint32Array.from(step.uniforms, (dim) => evalDim(dim, sizes)),
      );
      const written = step.bindings.findIndex((b) => 'buffer' in b && b.buffer === step.writes.buffer);
      const { dtype } = buffers[step.writes.buffer]!;
      const result = storage[written]!.buffer;
      const readback = make(result.size, Usage.mapRead | Usage.copyDst);

      await checked(device, step.name, () => {
        const entries = [{ buffer: uniforms }, ...storage].map((resource, binding) => ({
          binding,
          resource,
        }));
        const encoder = device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        pass.setPipeline(gpu);
        pass.setBindGroup(0, device.createBindGroup({ layout, entries }), [0]);
        pass.dispatchWorkgroups(...axisGroups(step.workgroups, sizes));
        pass.end();
        encoder.copyBufferToBuffer(result, 0, readback, 0, result.size);
        device.queue.submit([encoder.finish()]);
      });
      await readback.mapAsync(MAP_READ);
      return decode(readback.getMappedRange().slice(0), dtype, contents.get(step.writes.buffer)!.length);
    } finally {
      for (const buffer of owned) buffer.destroy();
    }
  }

  close(): void {
    for (const buffer of this.#constants.buffers) buffer.destroy();
  }
}

function encode(elements: Elements, dtype: DType): BufferSource {
  if (dtype === 'f32') return elements;
  const halves = new Uint16Array(elements.length + (elements.length % 2));
  halves.set(f32ToF16(elements));
  return halves;
}

function decode(bytes: ArrayBuffer, dtype: DType, length: number): Elements {
  if (dtype === 'f32') return new Float32Array(bytes, 0, length);
  return Float32Array.from(f16ToF32(new Uint16Array(bytes, 0, length)));
}
