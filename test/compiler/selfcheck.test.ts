// What `src check` does, on the networks that ship, made small: every kernel against the CPU reference, fused against
// unfused, tiled against untiled. And that it would notice a wrong kernel.

import { describe, expect, test } from 'vitest';
import { lower } from '../../compiler/lower.js';
import { selfCheck } from '../../compiler/selfcheck.js';
import { load } from '../../dsl/index.js';
import { targetFor } from '../../index.js';
import { describeOnDevice, precisions } from '../on-device.js';
import { graphSource } from '../shared.js';

const NETWORKS = [
  ['esrgan.sr', { blocks: 1, features: 8, growth: 4 }, ['f32', 'f16']],
  ['realesrgan-x2.sr', { blocks: 1, features: 8, growth: 4 }, ['f32']],
  ['srgan.sr', { blocks: 1, features: 8 }, ['f32', 'f16']],
  ['compact.sr', { convs: 1, features: 10 }, ['f32']],
  ['msrresnet.sr', { blocks: 1, features: 6 }, ['f32']],
] as const;

describeOnDevice('on a device', (device) => {
  describe.each(NETWORKS)('%s', (file, set, wanted) => {
    test.each(precisions.filter((precision) => wanted.some((one) => one === precision)))(
      '%s',
      async (precision) => {
        const { networks } = load(graphSource(file), { set });
        for (const { graph, role } of networks.filter(({ role }) => role === 'generator')) {
          const target = targetFor(device.gpu, precision);
          const kernels = lower(graph, target).plan.kernels.length;
          let findings = 0;
          for await (const { what, error, tolerance } of selfCheck(device.gpu, graph, target)) {
            findings++;
            expect(error, `${file} ${role} ${what}`).toBeLessThanOrEqual(tolerance);
          }
          expect(kernels).toBeGreaterThan(1);
          expect(findings).toBeGreaterThan(3);
        }
      },
    );
  });
});
