// Looks for the first step of a plan that makes a NaN or an infinity: every dispatch is followed by one that looks at
// what it has written.

import type { Loc } from '../diagnostics.js';
import { allocate, type LossGuard, readBuffer, Usage } from './gpu.js';
import { type Finding, findingOf, NONFINITE_PARTS, nonfinite } from './kernels/nonfinite.js';
import type { Pacer } from './pacer.js';
import type { StepPlan } from './plan.js';
import { type Launch, prepare } from './step-launch.js';
import type { StepParts, StepProgram } from './step-program.js';

export interface Diagnosis {
  /** Of the step of the plan. */
  readonly name: string;
  readonly loc?: Loc;
  readonly kernel: string;
  readonly gave: Finding;
}

export interface Diagnosing extends Pick<StepParts, 'device' | 'pipelines' | 'plan'> {
  readonly program: StepProgram;
  readonly pacer: Pacer;
  readonly guard: LossGuard;
  /** Sends the inputs of each batch. */
  readonly batches: readonly (() => void)[];
}

/** Runs the steps on each batch; the running statistics are afterwards as before. */
export async function diagnose({ device, guard, ...work }: Diagnosing): Promise<Diagnosis | undefined> {
  const { plan, pipelines, program, pacer, batches } = work;
  const bytes = 4 * NONFINITE_PARTS * plan.steps.length;
  const [parts] = await allocate(device, 'a diagnosis', [
    { label: 'diagnosis', size: bytes, usage: Usage.storage | Usage.copySrc },
  ]);
  const launches = plan.steps.map((_, i) => lookAt(plan, program, i, parts!));
  const looks = await prepare(device, pipelines, 'a diagnosis', launches);
  try {
    for (const copy of program.keep) pacer.copy(copy);
    for (const upload of batches) {
      await pacer.submit(); // uploads overtake what is not yet submitted
      upload();
      for (const [i, step] of program.steps.entries()) {
        for (const item of [...step, looks.commands[i]!]) if (pacer.add(item)) await pacer.submit();
      }
      await pacer.drain();
      const found = await readBuffer(device, guard, parts!, (values) =>
        plan.steps.flatMap(({ name, loc, kernel }, i): Diagnosis[] => {
          const gave = findingOf(values.subarray(i * NONFINITE_PARTS, (i + 1) * NONFINITE_PARTS));
          return gave ? [{ name, ...(loc && { loc }), kernel: plan.kernels[kernel]!.name, gave }] : [];
        }),
      );
      if (found[0]) return found[0];
    }
    return undefined;
  } finally {
    for (const copy of program.bringBack) pacer.copy(copy);
    await pacer.drain();
    for (const buffer of [parts!, looks.uniforms]) buffer.destroy();
  }
}

function lookAt(plan: StepPlan, program: StepProgram, index: number, parts: GPUBuffer): Launch {
  const { buffer, channels, offset } = plan.steps[index]!.writes;
  const { dtype, dims, stride } = plan.buffers[buffer]!;
  const kernel = nonfinite({
    x: { slot: 0, dtype, dims, channels, stride, offset },
    first: index * NONFINITE_PARTS,
  });
  const { uniforms, workgroups } = kernel;
  const resource = program.resource(buffer);
  const storage = [resource, { buffer: parts }];
  const task = { name: 'diagnosis', kernel: kernel.name, group: 'diagnosis', bytes: resource.size };
  return { name: kernel.name, kernel, uniforms, workgroups, storage, cost: resource.size, task };
}
