// Whole training steps of both players, one after another, against PyTorch: the losses of each step and all weights and
// running statistics after the last, on the device as training runs it. On the CPU, in double precision, a few steps
// tell a step that means something else from rounding. test/slow has the rest: some 200 kernels each, which software
// Vulkan compiles for minutes when it sees them for the first time.

import { describe, expect, test } from 'vitest';
import { describeOnDevice } from '../on-device.js';
import { CASES, expectAgreement, lossDifference, prepare, runOnCpu, runOnDevice } from './pytorch-steps.js';

describe('two steps on the CPU', () => {
  test.each(CASES)('$name', (one) => {
    const prepared = prepare(one);
    expect(lossDifference(prepared, runOnCpu(prepared, 2))).toBeLessThan(1e-6);
  });
});

describeOnDevice('ten steps on the device', ({ gpu }) => {
  test.each(CASES.slice(0, 1))('$name', async (one) => {
    const prepared = prepare(one);
    expectAgreement(prepared, await runOnDevice(gpu, prepared, 10), { losses: 1e-4, weights: 1e-5 });
  });
});
