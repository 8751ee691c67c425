// Ten training steps of everything against PyTorch: in double precision, where only PyTorch's numbers are rounded to 32
// bits, and on the device.

import { describe, test } from 'vitest';
import { describeOnDevice } from '../on-device.js';
import { CASES, expectAgreement, prepare, runOnCpu, runOnDevice } from '../train/pytorch-steps.js';

describe('on the CPU', () => {
  test.each(CASES)('$name', (one) => {
    const prepared = prepare(one);
    expectAgreement(prepared, runOnCpu(prepared, 10), { losses: 1e-6, weights: 1e-6 });
  });
});

describeOnDevice('on the device', ({ gpu }) => {
  test.each(CASES)('$name', async (one) => {
    const prepared = prepare(one);
    expectAgreement(prepared, await runOnDevice(gpu, prepared, 10), { losses: 1e-4, weights: 1e-5 });
  });
});
