// Learning rates against numbers of the formulas in BasicSR (MultiStepRestartLR, CosineAnnealingRestartLR), computed apart.

import { expect, test } from 'vitest';
import type { Adam, Schedule } from '../../dsl/index.js';
import { rateAt } from '../../train/schedule.js';

const ADAM: Adam = { kind: 'adam', lr: 2e-4, betas: [0.9, 0.99], eps: 1e-8 };

const COSINE: Schedule = { kind: 'cosine', periods: [100, 200], weights: [1, 0.5], min: 1e-7 };

test.each<[Schedule, readonly (readonly [step: number, rate: number])[]]>([
  [
    { kind: 'constant' },
    [
      [0, 2e-4],
      [1e6, 2e-4],
    ],
  ],
  [
    { kind: 'every', every: 200, by: 0.5 },
    [
      [0, 2e-4],
      [199, 2e-4],
      [200, 1e-4],
      [399, 1e-4],
      [400, 0.5e-4],
    ],
  ],
  [
    { kind: 'at', at: [50, 100, 300], by: 0.1 },
    [
      [49, 2e-4],
      [50, 2e-5],
      [99, 2e-5],
      [100, 2e-6],
      [1000, 2e-7],
    ],
  ],
  [
    COSINE,
    [
      [0, 2e-4],
      [1, 1.9995068070855e-4],
      [50, 1.0005e-4],
      [100, 1e-7],
      [101, 1.0004383470827e-4],
      [200, 5.0075e-5],
      [300, 1e-7],
      [301, 1e-7],
    ],
  ],
])('%j', (schedule, rates) => {
  for (const [step, rate] of rates)
    expect(rateAt(ADAM, schedule, step), `step ${step}`).toBeCloseTo(rate, 16);
});
