// Learning rates against PyTorch's schedulers, stepped as BasicSR does.

import { expect, test } from 'vitest';
import type { Schedule } from '../../dsl/index.js';
import { rateAt } from '../../train/schedule.js';
import { answers, difference } from './pytorch.js';

const SCHEDULES: Readonly<Record<string, Schedule>> = {
  constant: { kind: 'constant' },
  multistep: { kind: 'at', at: [5, 20, 41], by: 0.1 },
  halve_at: { kind: 'at', at: [5, 10, 20, 30], by: 0.5 },
  halve_every: { kind: 'every', every: 7, by: 0.5 },
  cosine: { kind: 'cosine', periods: [59], weights: [1], min: 1e-7 },
  restarts: { kind: 'cosine', periods: [20, 15, 24], weights: [1, 0.5, 1], min: 1e-7 },
};

test.each([...answers('schedules').tensors])('%s', (name, { data }) => {
  const adam = { kind: 'adam', lr: 2e-4, betas: [0.9, 0.999], eps: 1e-8 } as const;
  const rates = Array.from(data, (_, step) => rateAt(adam, SCHEDULES[name]!, step));
  expect(difference(rates, data)).toBeLessThan(1e-7);
});
