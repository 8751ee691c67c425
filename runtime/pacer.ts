// Sends work to the queue in portions of bounded duration: long enough to keep the device busy, short enough that
// watchdogs do not fire, progress moves and an abort is noticed. A portion's size follows measured speed.

import { checked, type LossGuard } from './gpu.js';
import type { HostWork } from './profile.js';
import type { Clock } from './profile-clock.js';
import type { Task } from './profile-task.js';

/** One dispatch, ready to encode. */
export interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly uniformOffset: number;
  readonly workgroups: readonly [number, number, number];
  /** In multiply-accumulates, roughly. */
  readonly cost: number;
  /** What it is there for. */
  readonly task: Task;
}

/** Bytes that move from buffer to buffer. */
export interface Copy {
  readonly source: GPUBuffer;
  readonly from: number;
  readonly target: GPUBuffer;
  readonly to: number;
  readonly bytes: number;
}

/** Whole texels of a buffer that move to a texture. */
export interface TextureCopy {
  readonly source: GPUBuffer;
  readonly from: number;
  readonly texture: GPUTexture;
  readonly row: number;
  readonly width: number;
  readonly rows: number;
  readonly bytesPerRow: number;
}

export type Work = Command | Copy | TextureCopy;

export interface Watch {
  readonly signal?: AbortSignal | undefined;
  /** Called with the cost of each portion that is done. */
  readonly onDone: (cost: number) => void;
}

/** Work in flight, in portions: enough to keep the device busy while the next is encoded. */
const AHEAD = 2;
const TARGET_MS = 150;
/** About 0.1 s on lavapipe, nothing on a GPU; then portions grow to what fits the target. */
const FIRST_PORTION = 5e8;
/** One odd measurement changes the size of a portion by this factor at most. */
const ADAPT = 4;

export class Pacer {
  readonly #device: GPUDevice;
  readonly #guard: LossGuard;
  #portion = FIRST_PORTION;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #cost = 0;
  #inFlight: { readonly cost: number; readonly done: Promise<void> }[] = [];
  #lastDone = 0;
  #watch: Watch = { onDone: () => {} };
  #clock: Clock | undefined;

  constructor(device: GPUDevice, guard: LossGuard) {
    this.#device = device;
    this.#guard = guard;
  }

  start(watch: Watch): void {
    this.#watch = watch;
  }

  /** From now on a clock notes the time of everything, or none does. To be called when nothing is encoded. */
  time(clock: Clock | undefined): void {
    this.#clock = clock;
  }

  /** Does work of the host's, which a clock notes. */
  host<Result>(work: HostWork, bytes: number, run: () => Result): Result {
    return this.#clock ? this.#clock.host(work, bytes, run) : run();
  }

  /** Encodes a dispatch; true when enough is gathered and `submit` should be awaited. */
  dispatch({ pipeline, group, uniformOffset, workgroups, cost, task }: Command): boolean {
    const timestampWrites = this.#clock?.next(task);
    this.#pass ??= this.#open().beginComputePass(timestampWrites && { timestampWrites });
    this.#pass.setPipeline(pipeline);
    this.#pass.setBindGroup(0, group, [uniformOffset]);
    this.#pass.dispatchWorkgroups(...workgroups);
    this.#cost += cost;
    if (timestampWrites) this.#endPass();
    return this.#cost >= this.#portion || this.#clock?.isFull === true;
  }

  /** Encodes any of them; true when `submit` should be awaited. */
  add(work: Work): boolean {
    if ('pipeline' in work) return this.dispatch(work);
    this.copy(work);
    return false;
  }

  copy(copy: Copy | TextureCopy): void {
    this.#endPass();
    const encoder = this.#open();
    if (this.#clock) this.#clock.copy(encoder, copy, () => encodeCopy(encoder, copy));
    else encodeCopy(encoder, copy);
  }

  /** Sends what is gathered. Resolves when the queue has room for more. */
  async submit(): Promise<void> {
    this.#watch.signal?.throwIfAborted();
    if (!this.#encoder) return;
    if (this.#clock?.isPending) return this.#clock.collect(this.#encoder); // which submits it
    this.#pass?.end();
    const encoder = this.#encoder;
    const cost = this.#cost;
    this.#reset();
    const submitted = performance.now();
    const valid = checked(this.#device, 'the network', () => this.#device.queue.submit([encoder.finish()]));
    const sent = this.#guard.wait(Promise.all([valid, this.#device.queue.onSubmittedWorkDone()]));
    const watch = this.#watch;
    const done = sent.then(() => {
      this.#finished(cost, submitted);
      watch.onDone(cost);
    });
    done.catch(() => {}); // whoever awaits it later sees the error; until then it must not end the process
    this.#inFlight.push({ cost, done });
    while (this.#inFlight.reduce((total, work) => total + work.cost, 0) > AHEAD * this.#portion) {
      await this.#inFlight.shift()?.done;
    }
  }

  /** Resolves when all that was submitted so far is done. */
  sent(): Promise<unknown> {
    return Promise.all(this.#inFlight.map(({ done }) => done));
  }

  /** Sends the rest and waits for everything. */
  async drain(): Promise<void> {
    await this.submit();
    const rest = this.#inFlight;
    this.#inFlight = [];
    const all = Promise.all(rest.map(({ done }) => done));
    await (this.#clock?.wait(all) ?? all);
  }

  /** Forgets what was not sent and waits for what was, whatever becomes of it. */
  async cancel(): Promise<void> {
    this.#pass?.end();
    this.#reset();
    await this.#clock?.cancel();
    await Promise.allSettled(this.#inFlight.map(({ done }) => done));
    this.#inFlight = [];
  }

  #open(): GPUCommandEncoder {
    this.#encoder ??= this.#device.createCommandEncoder();
    return this.#encoder;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }

  #reset(): void {
    this.#pass = undefined;
    this.#encoder = undefined;
    this.#cost = 0;
  }

  #finished(cost: number, submitted: number): void {
    const now = performance.now();
    const elapsed = Math.max(0.1, now - Math.max(submitted, this.#lastDone));
    this.#lastDone = now;
    if (cost >= this.#portion) {
      const ideal = (cost / elapsed) * TARGET_MS;
      this.#portion = Math.min(this.#portion * ADAPT, Math.max(this.#portion / ADAPT, ideal));
    }
  }
}

export function encodeCopy(encoder: GPUCommandEncoder, copy: Copy | TextureCopy): void {
  if ('target' in copy) {
    const { source, from, target, to, bytes } = copy;
    encoder.copyBufferToBuffer(source, from, target, to, bytes);
    return;
  }
  const { source: buffer, from: offset, texture, row, width, rows, bytesPerRow } = copy;
  const origin = { x: 0, y: row };
  encoder.copyBufferToTexture({ buffer, offset, bytesPerRow }, { texture, origin }, [width, rows]);
}
