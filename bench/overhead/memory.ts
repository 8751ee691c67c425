// How well memory is planned: what is planned beside the least that any plan needs, the most that lives at the same time.

import { factsOf } from '../../runtime/halo.js';
import { bufferBytes } from '../../runtime/memory.js';
import type { Plan, StepPlan } from '../../runtime/plan.js';
import { type Size, sizesOf } from '../../runtime/schedule.js';
import { stepMemory } from '../../runtime/stepper.js';
import { planTiles } from '../../runtime/tiles.js';

export interface PlannedMemory {
  /** A buffer for each tensor. */
  readonly naive: number;
  readonly planned: number;
  /** The most that lives at the same time. */
  readonly bound: number;
}

/** Of an image as a whole. */
export function inferenceMemory(plan: Plan, size: Size): PlannedMemory {
  const limits = {
    maxStorageBufferBindingSize: Infinity,
    maxBufferSize: Infinity,
    maxComputeWorkgroupsPerDimension: Infinity,
    memory: Infinity,
  };
  const { naive, planned } = planTiles(factsOf(plan), size, limits).memory;
  return { naive, planned, bound: mostAlive(plan, sizesOf(size)) };
}

/** Of what a step computes; what lives from step to step is there anyway. */
export function trainingMemory(plan: StepPlan): PlannedMemory {
  const { naive, planned } = stepMemory(plan, {});
  return { naive, planned, bound: mostAlive(plan, {}) };
}

/** From the first step that uses a tensor to the last. */
function mostAlive(plan: Plan, sizes: Readonly<Record<string, number>>): number {
  const lives = new Map<number, { first: number; last: number }>();
  const use = (buffer: number, moment: number) => {
    if (plan.buffers[buffer]!.resident) return;
    lives.set(buffer, { first: lives.get(buffer)?.first ?? moment, last: moment });
  };
  for (const { buffer } of plan.inputs) use(buffer, -1);
  for (const [moment, { bindings }] of plan.steps.entries()) {
    for (const binding of bindings) if ('buffer' in binding) use(binding.buffer, moment);
  }
  for (const { buffer } of plan.outputs) use(buffer, plan.steps.length);
  const change = new Array<number>(plan.steps.length + 3).fill(0);
  for (const [buffer, { first, last }] of lives) {
    const bytes = bufferBytes(plan.buffers[buffer]!, sizes);
    change[first + 1]! += bytes;
    change[last + 2]! -= bytes;
  }
  let [alive, most] = [0, 0];
  for (const bytes of change) {
    alive += bytes;
    most = Math.max(most, alive);
  }
  return most;
}
