// `src train --profile`: a few steps of each stage that is trained.

import { join } from 'node:path';
import { fail } from '../diagnostics.js';
import { measureCeilings } from '../runtime/profile-ceilings.js';
import { stepGroups } from '../train/profile-groups.js';
import type { PlannedStage } from '../train/stages.js';
import { type ProfileRequest, profiledSteps } from '../train/trainer-profile.js';
import { prepareOutput } from './files.js';
import type { ProfileFile } from './options.js';
import { keepProfile, type Profiled } from './profile.js';

/** Where the trace of a stage goes. */
export type TraceOf = (stage: string) => string;

/** `folder`: of the training. */
export async function tracesIn(
  folder: string,
  file: ProfileFile,
  stages: readonly { readonly name: string }[],
): Promise<TraceOf> {
  if (file === true) return (stage) => join(folder, `${stage}.trace.json`);
  if (stages.length > 1) {
    fail(`--profile ${file}: ${stages.length} stages are trained, and each has a trace of its own`, {
      help: `name no file, or one stage: --stage ${stages[0]!.name}`,
    });
  }
  await prepareOutput(file);
  return () => file;
}

/** Measures the device before training takes its memory. `step`: how many are done. */
export async function profileSteps(
  device: GPUDevice,
  planned: PlannedStage,
  step: number,
  trace: string,
  report: (profiled: Profiled) => void,
): Promise<ProfileRequest> {
  const { name } = planned.stage;
  const steps = profiledSteps(step, planned.stage.steps);
  const ceilings = await measureCeilings(device);
  return {
    steps,
    async onRecorded(recording) {
      const of = `a step of ${name} (mean of steps ${steps.from + 1} to ${steps.to})`;
      const runs = steps.to - steps.from;
      const groupOf = stepGroups(planned);
      report(await keepProfile(of, trace, recording, { ceilings, runs, groupOf }));
    },
  };
}
