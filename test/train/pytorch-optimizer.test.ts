// Twenty steps of the optimizer alone against PyTorch: Adam with a rate that changes at every step, and the average of
// what it makes; gradients clipped by their norm in some of the steps; the mean gradient of two batches.

import { expect, test } from 'vitest';
import { describeOnDevice } from '../on-device.js';
import { difference } from './pytorch.js';
import { prepare, runOnDevice } from './pytorch-steps.js';

describeOnDevice('twenty steps', ({ gpu }) => {
  test.each(['adam', 'adam_clip', 'adam_accumulate'])('%s', async (name) => {
    const prepared = prepare({ file: 'tiny', name });
    const { kept } = await runOnDevice(gpu, prepared, 20, (k) => 1e-3 / (1 + k));
    for (const [key, { data }] of prepared.expected.tensors) {
      const [kind, ...path] = key.split('.');
      const actual = [...kept].find(([one]) => one === kind)?.[1].get(`tiny.${path.join('.')}`);
      expect(difference(actual!, data), key).toBeLessThan(1e-5);
    }
  });
});
