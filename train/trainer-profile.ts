// Which steps of a training are profiled: a few, after those in which drivers compile kernels and caches fill.

import { fail } from '../diagnostics.js';
import type { Recording } from '../runtime/profile.js';
import type { Stepper } from '../runtime/stepper.js';

/** Counted from 0; `to` is not one of them. */
export interface ProfiledSteps {
  readonly from: number;
  readonly to: number;
}

export interface ProfileRequest {
  readonly steps: ProfiledSteps;
  onRecorded(recording: Recording): Promise<void>;
}

const WARM_UP = 2;
const PROFILED = 10;

/** The third to the twelfth of the steps to come, or fewer where there are fewer. */
export function profiledSteps(step: number, steps: number): ProfiledSteps {
  const from = step + WARM_UP;
  if (from < steps) return { from, to: Math.min(steps, from + PROFILED) };
  const left = steps - step;
  return fail(`a profile needs ${WARM_UP + 1} steps or more, and ${left} ${left === 1 ? 'is' : 'are'} left`, {
    help: `train for longer: --steps ${step + WARM_UP + PROFILED}`,
  });
}

/** To be called before each step, and after the last. */
export async function profileAt(
  stepper: Stepper,
  step: number,
  request: ProfileRequest | undefined,
): Promise<void> {
  if (step === request?.steps.from) await stepper.record();
  if (step === request?.steps.to) await request.onRecorded(await stepper.recorded());
}
