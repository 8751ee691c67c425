// The learning rate over a stage. Steps count from 0, as BasicSR's schedulers do: they first step at the second
// iteration, so step 0 has the optimizer's rate and a milestone at 100 changes the rate of step 100 (the 101st).

import type { Adam, Schedule } from '../dsl/index.js';

/** The rate of step `step`. */
export function rateAt({ lr }: Adam, schedule: Schedule, step: number): number {
  switch (schedule.kind) {
    case 'constant':
      return lr;
    case 'every':
      return lr * schedule.by ** Math.floor(step / schedule.every);
    case 'at':
      return lr * schedule.by ** schedule.at.filter((milestone) => milestone <= step).length;
    case 'cosine':
      return cosine(lr, schedule, step);
  }
}

/**
 * A period ends, at its last step, with `min`; the one after it begins a step later. After the last the rate stays at
 * `min` (BasicSR has no rate there).
 */
function cosine(
  lr: number,
  { periods, weights, min }: Extract<Schedule, { kind: 'cosine' }>,
  step: number,
): number {
  let start = 0;
  for (const [i, period] of periods.entries()) {
    if (step <= start + period) {
      return min + 0.5 * weights[i]! * (lr - min) * (1 + Math.cos((Math.PI * (step - start)) / period));
    }
    start += period;
  }
  return min;
}
