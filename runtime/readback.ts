// Results come back through a small ring of staging buffers: while one is mapped and copied out, the device already
// works on what follows.

import { allocate, type LossGuard, MAP_READ, Usage } from './gpu.js';
import type { Pacer } from './pacer.js';

const RING = 3;

export class Readback {
  readonly #buffers: readonly GPUBuffer[];
  readonly #busy: Promise<void>[] = [];
  readonly #guard: LossGuard;
  readonly #pacer: Pacer;
  #next = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(guard: LossGuard, pacer: Pacer, buffers: readonly GPUBuffer[]) {
    this.#guard = guard;
    this.#pacer = pacer;
    this.#buffers = buffers;
  }

  /** `bytes`: of the largest piece that is read at once. */
  static async create(device: GPUDevice, guard: LossGuard, pacer: Pacer, bytes: number): Promise<Readback> {
    const descriptor = { label: 'readback', size: bytes, usage: Usage.mapRead | Usage.copyDst };
    return new Readback(guard, pacer, await allocate(device, 'reading back', Array(RING).fill(descriptor)));
  }

  /** Reads `bytes` of `source` as they are after everything encoded so far, and gives them to `use`, in order. */
  async read(
    source: GPUBuffer,
    offset: number,
    bytes: number,
    use: (values: Float32Array) => void,
  ): Promise<void> {
    const slot = this.#next;
    this.#next = (slot + 1) % RING;
    await this.#busy[slot];
    const staging = this.#buffers[slot]!;
    this.#pacer.copy({ source, from: offset, target: staging, to: 0, bytes });
    await this.#pacer.submit();
    const mapped = this.#guard.wait(staging.mapAsync(MAP_READ, 0, bytes));
    const done = Promise.all([mapped, this.#last]).then(() => {
      use(new Float32Array(staging.getMappedRange(0, bytes)));
      staging.unmap();
    });
    done.catch(() => {}); // whoever awaits the slot sees the error; until then it must not end the process
    this.#busy[slot] = done;
    this.#last = done;
  }

  async drain(): Promise<void> {
    await Promise.all(this.#busy);
  }

  /** Ends what is under way, whatever becomes of it. */
  async cancel(): Promise<void> {
    await Promise.allSettled(this.#busy);
    this.#busy.length = 0;
    this.#last = Promise.resolve();
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}
