// The network that comes along, on photos it has not seen: what the README says of it, by the command that it names.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { src } from '../cli/harness.js';
import { describeOnDevice, onDevice } from '../on-device.js';
import { missingShared, shared } from '../shared.js';

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

describeOnDevice('the default network', () => {
  describe.skipIf(missingShared)('on photos', () => {
    test.each(['natural', 'sharp'])('%s', async (style) => {
      const { code, out, err } = await src([
        'eval',
        '--style',
        style,
        '--data',
        shared('photos/val'),
        '--json',
        ...onDevice,
      ]);
      expect({ code, err }).toMatchObject({ code: 0 });
      const { mean } = JSON.parse(out);
      const gain = mean.psnr - mean.bicubic.psnr;
      console.log(
        `${style}: PSNR-Y ${mean.psnr.toFixed(2)}, ${gain.toFixed(2)} above bicubic, SSIM-Y ${mean.ssim.toFixed(4)}`,
      );
      expect(README).toContain(`| ${style} | ${mean.psnr.toFixed(2)} | ${mean.ssim.toFixed(4)} |`);
      if (style === 'natural') expect(gain).toBeGreaterThan(1);
    });
  });
});
