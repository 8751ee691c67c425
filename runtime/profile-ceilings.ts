// Measures what this device can do at most, with its own clock, in a fraction of a second.

import { allocate, LossGuard, Usage } from './gpu.js';
import { FMA_LANES, FMA_MACS, fmaChains, stream } from './kernels/ceilings.js';
import type { KernelCall } from './kernels/kernel.js';
import { Pacer } from './pacer.js';
import { Pipelines } from './pipelines.js';
import type { Ceilings } from './profile.js';
import { Clock } from './profile-clock.js';
import type { Task } from './profile-task.js';
import { prepare } from './step-launch.js';

/** What is copied: more than the caches of GPUs hold, and no more than a binding may have anywhere. */
const STREAM_BYTES = 2 ** 26;
/** The first of these compiles; the best of the others counts. */
const ROUNDS = 8;
/** Turns of the loop for an idea of the speed, which then tells how many take this time. */
const FIRST_TURNS = 8;
const ENOUGH_MS = 5;

export async function measureCeilings(device: GPUDevice): Promise<Ceilings> {
  const guard = new LossGuard(device);
  const pacer = new Pacer(device, guard);
  const clock = await Clock.open({ device, guard, pacer });
  const bench = { device, pipelines: new Pipelines(device), pacer, clock };
  const buffers: GPUBuffer[] = [];
  pacer.time(clock);
  try {
    const wanted = [
      { label: 'sums', size: 4 * FMA_LANES, usage: Usage.storage },
      { label: 'from', size: STREAM_BYTES, usage: Usage.storage },
      { label: 'to', size: STREAM_BYTES, usage: Usage.storage },
    ];
    buffers.push(...(await allocate(device, 'measuring the device', wanted)));
    const [sums, from, to] = buffers.map((buffer) => ({ buffer }));
    const guess = await bestTime(bench, fmaChains(FIRST_TURNS), [sums!]);
    const turns = Math.ceil((FIRST_TURNS * ENOUGH_MS) / guess);
    const arithmetic = await bestTime(bench, fmaChains(turns), [sums!]);
    const copy = await bestTime(bench, stream(STREAM_BYTES / 4), [from!, to!]);
    return { gflops: (2 * FMA_MACS * turns) / arithmetic / 1e6, gbytes: (2 * STREAM_BYTES) / copy / 1e6 };
  } finally {
    clock.destroy();
    for (const buffer of buffers) buffer.destroy();
  }
}

interface Bench {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly pacer: Pacer;
  readonly clock: Clock;
}

/** In milliseconds. */
async function bestTime(
  { device, pipelines, pacer, clock }: Bench,
  kernel: KernelCall,
  storage: readonly GPUBufferBinding[],
): Promise<number> {
  const { name, uniforms, workgroups } = kernel;
  const task: Task = { name, kernel: name, group: 'ceilings', bytes: 0 };
  const launch = { name, kernel, uniforms, workgroups, storage, cost: 0, task };
  const { commands, uniforms: block } = await prepare(device, pipelines, 'measuring the device', [launch]);
  try {
    for (let round = 0; round < ROUNDS; round++) for (const command of commands) pacer.dispatch(command);
    await pacer.drain();
    const times = (await clock.spans()).filter((span) => span.task === task);
    return Math.min(...times.slice(1).map((span) => span.to - span.from));
  } finally {
    block.destroy();
  }
}
