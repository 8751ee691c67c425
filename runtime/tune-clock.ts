// How long the device takes for some work: by its own clock where it has one, else by ours, from sending to done.

import { allocate, checked, LossGuard, readBuffer, Usage } from './gpu.js';
import { encodeCopy, type Work } from './pacer.js';

/** Two timestamps of 64 bits. */
const STAMPS_BYTES = 16;

export class Stopwatch {
  readonly #device: GPUDevice;
  readonly #guard: LossGuard;
  readonly #stamps: Stamps | undefined;

  private constructor(device: GPUDevice, stamps: Stamps | undefined) {
    this.#device = device;
    this.#guard = new LossGuard(device);
    this.#stamps = stamps;
  }

  static async open(device: GPUDevice): Promise<Stopwatch> {
    return new Stopwatch(device, await openStamps(device));
  }

  /** Milliseconds for doing all of it so many times. */
  async time(work: readonly Work[], runs: number): Promise<number> {
    const { querySet, resolved } = this.#stamps ?? {};
    const encoder = this.#device.createCommandEncoder();
    // Empty passes end when everything before has.
    const stamp = (endOfPassWriteIndex: number) =>
      querySet && encoder.beginComputePass({ timestampWrites: { querySet, endOfPassWriteIndex } }).end();
    stamp(0);
    for (let run = 0; run < runs; run++) encode(encoder, work);
    stamp(1);
    if (querySet) encoder.resolveQuerySet(querySet, 0, 2, resolved!, 0);
    const sent = performance.now();
    await checked(this.#device, 'what is measured', () => this.#device.queue.submit([encoder.finish()]));
    await this.#guard.wait(this.#device.queue.onSubmittedWorkDone());
    if (!resolved) return performance.now() - sent;
    return readBuffer(this.#device, this.#guard, resolved, (values) => {
      const [from, to] = new BigUint64Array(values.buffer, values.byteOffset, 2);
      return Number(to! - from!) / 1e6;
    });
  }

  close(): void {
    this.#stamps?.querySet.destroy();
    this.#stamps?.resolved.destroy();
  }
}

interface Stamps {
  readonly querySet: GPUQuerySet;
  readonly resolved: GPUBuffer;
}

async function openStamps(device: GPUDevice): Promise<Stamps | undefined> {
  if (!device.features.has('timestamp-query')) return undefined;
  const [resolved] = await allocate(device, 'timestamps', [
    { label: 'timestamps', size: STAMPS_BYTES, usage: Usage.queryResolve | Usage.copySrc },
  ]);
  return { querySet: device.createQuerySet({ type: 'timestamp', count: 2 }), resolved: resolved! };
}

function encode(encoder: GPUCommandEncoder, work: readonly Work[]): void {
  let pass: GPUComputePassEncoder | undefined;
  for (const one of work) {
    if ('pipeline' in one) {
      pass ??= encoder.beginComputePass();
      pass.setPipeline(one.pipeline);
      pass.setBindGroup(0, one.group, [one.uniformOffset]);
      pass.dispatchWorkgroups(...one.workgroups);
    } else {
      pass?.end();
      pass = undefined;
      encodeCopy(encoder, one);
    }
  }
  pass?.end();
}
