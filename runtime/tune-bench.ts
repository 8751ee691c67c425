// The tensors of a step on the device, on which its candidates are run one after another.

import type { Sizes } from './dims.js';
import { allocate, LossGuard, readBuffer, Usage } from './gpu.js';
import { bufferBytes } from './memory.js';
import type { Plan } from './plan.js';
import { decode, type Elements, encode } from './probe.js';
import type { Stopwatch } from './tune-clock.js';
import type { LoneStep } from './tune-step.js';

export class Bench {
  /** By the buffers of the plan. */
  readonly tensors: ReadonlyMap<number, GPUBuffer>;
  readonly #device: GPUDevice;
  readonly #guard: LossGuard;
  readonly #plan: Plan;
  readonly #contents: ReadonlyMap<number, Elements>;

  private constructor(
    device: GPUDevice,
    plan: Plan,
    contents: ReadonlyMap<number, Elements>,
    tensors: ReadonlyMap<number, GPUBuffer>,
  ) {
    this.#device = device;
    this.#guard = new LossGuard(device);
    this.#plan = plan;
    this.#contents = contents;
    this.tensors = tensors;
    for (const buffer of contents.keys()) this.#upload(buffer);
  }

  /** `plan` is of one step; `contents` are those of the buffers that it binds. */
  static async open(
    device: GPUDevice,
    plan: Plan,
    sizes: Sizes,
    contents: ReadonlyMap<number, Elements>,
  ): Promise<Bench> {
    const described = [...contents.keys()].map((buffer) => plan.buffers[buffer]!);
    const buffers = await allocate(
      device,
      plan.steps[0]!.name,
      described.map((buffer) => ({ label: buffer.name, size: bufferBytes(buffer, sizes), usage: USAGE })),
    );
    const tensors = new Map([...contents.keys()].map((buffer, i) => [buffer, buffers[i]!]));
    return new Bench(device, plan, contents, tensors);
  }

  /** What the buffer that the step writes holds after a run. */
  async output({ work }: LoneStep, stopwatch: Stopwatch): Promise<Elements> {
    const { buffer } = this.#plan.steps[0]!.writes;
    this.#upload(buffer);
    await stopwatch.time(work, 1);
    const { dtype } = this.#plan.buffers[buffer]!;
    const { length } = this.#contents.get(buffer)!;
    return readBuffer(this.#device, this.#guard, this.tensors.get(buffer)!, (values) =>
      decode(values.slice().buffer, dtype, length),
    );
  }

  close(): void {
    for (const tensor of this.tensors.values()) tensor.destroy();
  }

  #upload(buffer: number): void {
    const data = encode(this.#contents.get(buffer)!, this.#plan.buffers[buffer]!.dtype);
    this.#device.queue.writeBuffer(this.tensors.get(buffer)!, 0, data);
  }
}

const USAGE = Usage.storage | Usage.copySrc | Usage.copyDst;
