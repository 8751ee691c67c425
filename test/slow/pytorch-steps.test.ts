// Ten training steps in double precision against PyTorch's, whose numbers are rounded to 32 bits: all that may differ.

import { expect, test } from 'vitest';
import { CASES, lossDifference, prepare, runOnCpu, weightDifference } from '../train/pytorch-steps.js';

test.each(CASES)('$name', (one) => {
  const prepared = prepare(one);
  const run = runOnCpu(prepared, 10);
  expect(lossDifference(prepared, run)).toBeLessThan(1e-6);
  expect(weightDifference(prepared, run)).toBeLessThan(1e-6);
});
