// Whole training steps of both players, one after another, against PyTorch: the losses of each step and all weights and
// running statistics after the last, on the device as training runs it. On the CPU, in double precision, a few steps
// tell a step that means something else from rounding; test/slow has all of them.

import { describe, expect, test } from 'vitest';
import { describeOnDevice } from '../on-device.js';
import { CASES, lossDifference, prepare, runOnCpu, runOnDevice, weightDifference } from './pytorch-steps.js';

describe('on the CPU', () => {
  test.each(CASES)('$name', (one) => {
    const prepared = prepare(one);
    expect(lossDifference(prepared, runOnCpu(prepared, 2))).toBeLessThan(1e-6);
  });
});

describeOnDevice('on the device', ({ gpu }) => {
  test.each(CASES)('$name', async (one) => {
    const prepared = prepare(one);
    const run = await runOnDevice(gpu, prepared, 10);
    expect(run.losses.length).toBe(10);
    expect(lossDifference(prepared, run)).toBeLessThan(1e-4);
    expect(weightDifference(prepared, run)).toBeLessThan(1e-5);
  });
});
