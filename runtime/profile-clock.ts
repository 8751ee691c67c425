// Notes when the device does what: each dispatch gets a pass of its own, whose begin and end the device writes into a
// query set. That costs up to 0.1 ms a dispatch on lavapipe, which ends all work before it notes a time, and is there only
// while something is recorded. Nothing that is computed changes.

import { fail, internal } from '../diagnostics.js';
import { allocate, type LossGuard, Usage } from './gpu.js';
import { TEXTURE_WIDTH } from './kernels/text.js';
import type { Copy, Pacer, TextureCopy } from './pacer.js';
import type { Plan } from './plan.js';
import type { DeviceSpan, HostSpan, HostWork, Recording } from './profile.js';
import type { OwnTask, Task } from './profile-task.js';
import { Readback } from './readback.js';

/** What a query set holds at most (4096 queries), two for each span. */
const MOST_SPANS = 2048;
/** When so many are noted they should be sent; copies, which nobody is asked about, have the rest. */
const ENOUGH = 1536;
const BYTES_PER_SPAN = 16;

export interface Timed {
  readonly device: GPUDevice;
  readonly guard: LossGuard;
  readonly pacer: Pacer;
}

/** Fails where the device has no clock. */
export function checkClock(device: GPUDevice): void {
  if (device.features.has('timestamp-query')) return;
  fail('this device cannot be profiled: it has no `timestamp-query`', {
    help: 'use one that has it: --device software takes lavapipe where that is installed',
  });
}

export class Clock {
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #readback: Readback;
  readonly #device: DeviceSpan[] = [];
  readonly #host: HostSpan[] = [];
  #pending: Task[] = [];
  /** Since when the pending tasks are encoded. */
  #since = 0;
  #collecting = false;
  /** The device's time 0, and the earliest time of the host's at which that can have been. */
  #zero: bigint | undefined;
  #offset = Number.NEGATIVE_INFINITY;
  /** When the last task that is noted ended, of the device's time. */
  #ended = Number.NEGATIVE_INFINITY;

  private constructor(queries: GPUQuerySet, resolved: GPUBuffer, readback: Readback) {
    this.#queries = queries;
    this.#resolved = resolved;
    this.#readback = readback;
  }

  /** For the pacer, which must be told. */
  static async open({ device, guard, pacer }: Timed): Promise<Clock> {
    checkClock(device);
    const size = MOST_SPANS * BYTES_PER_SPAN;
    const [resolved] = await allocate(device, 'a profile', [
      { label: 'timestamps', size, usage: Usage.queryResolve | Usage.copySrc },
    ]);
    const readback = await Readback.create(device, guard, pacer, size);
    return new Clock(
      device.createQuerySet({ type: 'timestamp', count: 2 * MOST_SPANS }),
      resolved!,
      readback,
    );
  }

  get isFull(): boolean {
    return this.#pending.length >= ENOUGH;
  }

  /** Whether something is encoded whose times are not asked for yet. */
  get isPending(): boolean {
    return this.#pending.length > 0;
  }

  /** For the pass of a task. */
  next(task: Task): Required<GPUComputePassTimestampWrites> {
    if (this.#pending.length === 0) this.#since = performance.now();
    if (this.#pending.length === MOST_SPANS) internal('a clock that is not read');
    const first = 2 * (this.#pending.push(task) - 1);
    return { querySet: this.#queries, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 };
  }

  /** A copy is in no pass: empty ones before and after it, which end when everything before has, note the time. */
  copy(encoder: GPUCommandEncoder, copy: Copy | TextureCopy, encode: () => void): void {
    if (this.#collecting) {
      encode();
      return;
    }
    const { querySet, beginningOfPassWriteIndex: first, endOfPassWriteIndex: last } = this.next(taskOf(copy));
    const note = (endOfPassWriteIndex: number) =>
      encoder.beginComputePass({ timestampWrites: { querySet, endOfPassWriteIndex } }).end();
    note(first);
    encode();
    note(last);
  }

  /** Asks for the times of what is pending and sends it. */
  async collect(encoder: GPUCommandEncoder): Promise<void> {
    const tasks = this.#pending;
    this.#pending = [];
    encoder.resolveQuerySet(this.#queries, 0, 2 * tasks.length, this.#resolved, 0);
    const sent = performance.now();
    this.#host.push({ work: 'encode', from: this.#since, to: sent, bytes: 0 });
    this.#collecting = true;
    try {
      const bytes = BYTES_PER_SPAN * tasks.length;
      await this.wait(
        this.#readback.read(this.#resolved, 0, bytes, (values) => this.#take(tasks, sent, values)),
      );
    } finally {
      this.#collecting = false;
    }
  }

  host<Result>(work: HostWork, bytes: number, run: () => Result): Result {
    const from = performance.now();
    const result = run();
    this.#host.push({ work, from, to: performance.now(), bytes });
    return result;
  }

  async wait<Result>(promise: Promise<Result>): Promise<Result> {
    const from = performance.now();
    const result = await promise;
    this.#host.push({ work: 'wait', from, to: performance.now(), bytes: 0 });
    return result;
  }

  /** Everything since it was opened, when nothing is pending any more. */
  async recording(plan: Plan): Promise<Recording> {
    return { plan, device: await this.spans(), host: this.#host };
  }

  /** What the device did, of that. */
  async spans(): Promise<DeviceSpan[]> {
    await this.#readback.drain();
    const offset = this.#offset;
    return this.#device.map(({ task, from, to }) => ({ task, from: from + offset, to: to + offset }));
  }

  /** Forgets what was not sent, whatever becomes of the rest. */
  async cancel(): Promise<void> {
    this.#pending = [];
    await this.#readback.cancel();
  }

  destroy(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
    this.#readback.destroy();
  }

  /** `sent`: before the device began with it. The tightest of these bounds ties both clocks together. */
  #take(tasks: readonly Task[], sent: number, values: Float32Array): void {
    const times = new BigUint64Array(values.buffer, values.byteOffset, 2 * tasks.length);
    this.#zero ??= times[0]!;
    const at = (index: number) => Number(times[index]! - this.#zero!) / 1e6;
    this.#offset = Math.max(this.#offset, sent - at(0));
    for (const [i, task] of tasks.entries()) {
      // A device may take up a pass while the one before still runs: that time is the other's.
      const from = Math.max(at(2 * i), this.#ended);
      this.#ended = Math.max(from, at(2 * i + 1));
      this.#device.push({ task, from, to: this.#ended });
    }
  }
}

function taskOf(copy: Copy | TextureCopy): OwnTask {
  const copies = { name: 'copies', group: 'copies' };
  if ('target' in copy) return { ...copies, kernel: 'copy', copies: 'buffer', bytes: 2 * copy.bytes };
  const { width, rows, bytesPerRow } = copy;
  const bytes = 2 * rows * bytesPerRow * (width / TEXTURE_WIDTH);
  return { ...copies, kernel: 'copy to texture', copies: 'mirror', bytes };
}
