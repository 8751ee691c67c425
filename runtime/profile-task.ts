// What a command of the device is there for, and how much work that is: the arithmetic that the plan counts, and the
// bytes that must move at least once. A kernel that reads an operand several times moves more; that is its own doing.

import { evalDim, type Sizes } from './dims.js';
import { bytesPerElement, packedLength } from './memory.js';
import type { Operand, Plan, Step } from './plan.js';
import { stepMacs } from './schedule.js';

/** What a command computes: a step of the plan, or what the runtime adds to it. */
export type Task = StepTask | OwnTask;

export interface StepTask {
  readonly step: Step;
  readonly sizes: Sizes;
}

/** A part of the optimizer, a move between a tile and the image, a copy. */
export interface OwnTask {
  readonly name: string;
  readonly kernel: string;
  readonly group: string;
  /** Read and written. */
  readonly bytes: number;
  /** Set where no kernel moves them; a `mirror` is made for the step that follows it. */
  readonly copies?: 'buffer' | 'mirror';
}

export interface Work {
  readonly macs: number;
  /** Of operands read and written. */
  readonly bytes: number;
}

export function workOf(plan: Plan, task: Task): Work {
  if (!('step' in task)) return { macs: 0, bytes: task.bytes };
  const { step, sizes } = task;
  const operands = [...distinct(step.reads), step.writes];
  const constants = new Set(step.bindings.flatMap((one) => ('constant' in one ? [one.constant] : [])));
  const bytes = [
    ...operands.map((operand) => operandBytes(plan, operand, sizes)),
    ...[...constants].map((index) => {
      const { value, packing, dtype } = plan.constants[index]!;
      return packedLength(packing, value.shape) * bytesPerElement(dtype);
    }),
  ];
  return { macs: stepMacs(step, plan.buffers, sizes), bytes: bytes.reduce((sum, one) => sum + one, 0) };
}

/** Operands may be ranges of one another, as a dense block's input is of what its last conv reads. */
function distinct(operands: readonly Operand[]): Operand[] {
  const merged: Operand[] = [];
  for (const { buffer, offset, channels } of operands.toSorted((a, b) => a.offset - b.offset)) {
    const last = merged.findIndex((one) => one.buffer === buffer && one.offset + one.channels >= offset);
    const before = merged[last];
    if (!before) merged.push({ buffer, offset, channels });
    else {
      const end = Math.max(before.offset + before.channels, offset + channels);
      merged[last] = { ...before, channels: end - before.offset };
    }
  }
  return merged;
}

function operandBytes({ buffers }: Plan, { buffer, channels }: Operand, sizes: Sizes): number {
  const { dims, dtype } = buffers[buffer]!;
  return dims.reduce<number>(
    (product, dim) => product * evalDim(dim, sizes),
    channels * bytesPerElement(dtype),
  );
}
