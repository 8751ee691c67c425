// Published networks with published weights against the outputs of a PyTorch implementation: f32 within 1e-4 at every
// value, f16 at least 50 dB.

import { describe, expect, test } from 'vitest';
import { readSafetensors } from '../../formats/safetensors.js';
import { compile, open, openOrt } from '../../index.js';
import { describeOnDevice, precisions } from '../on-device.js';
import { describeWithOrt } from '../on-ort.js';
import { graphSource, missingShared, sharedBytes, sharedWeights } from '../shared.js';

const NETWORKS = [
  { golden: 'esrgan-anime', file: 'esrgan-anime.sr', weights: 'realesrgan-x4plus-anime.param' },
  { golden: 'x4plus', file: 'esrgan.sr', weights: 'realesrgan-x4plus.bin' },
  { golden: 'superlite', file: 'esrgan.sr', set: { blocks: 2 }, weights: '4x-NMKD-YandereNeo-Superlite.pth' },
  { golden: 'compact-animevideov3', file: 'compact.sr', weights: 'realesr-animevideov3-x4.param' },
];

describeOnDevice('published networks', (device) => {
  describe.skipIf(missingShared).each(NETWORKS)('$golden', ({ golden, file, set, weights }) => {
    test.each(['chelsea_64x64', 'astronaut_79x53'])('%s', async (image) => {
      const { tensors } = readSafetensors(image, sharedBytes(`golden/${golden}__${image}.safetensors`));
      const input = tensors.get('input')!;
      const expected = tensors.get('output')!.data;
      const [, , height, width] = input.shape as [number, number, number, number];
      const compiled = compile(graphSource(file), set ? { set } : {});
      for (const precision of precisions) {
        const upscaler = await open(device.gpu, compiled, {
          weights: await sharedWeights(weights),
          precision,
        });
        const started = performance.now();
        const { data } = await upscaler.run({ width, height, data: input.data });
        const seconds = (performance.now() - started) / 1000;
        await upscaler.close();
        const { worst, psnr } = difference(data, expected);
        const rate = (2 * compiled.summary.macsPerPixel * width * height) / seconds / 1e9;
        console.log(
          `${golden} ${image} ${precision}: ${seconds.toFixed(1)} s, ${rate.toFixed(1)} GFLOP/s, ` +
            `largest difference ${worst.toExponential(1)}, ${psnr.toFixed(1)} dB`,
        );
        if (precision === 'f32') expect(worst).toBeLessThan(1e-4);
        else expect(psnr).toBeGreaterThan(50);
      }
    });
  });
});

describeWithOrt('published networks in ONNX Runtime', (ort) => {
  test.skipIf(missingShared).each(NETWORKS)('$golden', async ({ golden, file, set, weights }) => {
    const name = `${golden}__astronaut_79x53`;
    const { tensors } = readSafetensors(name, sharedBytes(`golden/${name}.safetensors`));
    const { shape, data } = tensors.get('input')!;
    const [, , height, width] = shape as [number, number, number, number];
    const compiled = compile(graphSource(file), set ? { set } : {});
    const network = openOrt(ort, compiled, { weights: await sharedWeights(weights) });
    const result = await network.run({ width, height, data });
    await network.close();
    expect(difference(result.data, tensors.get('output')!.data).worst).toBeLessThan(1e-4);
  });
});

/** Against a peak of 1, over all values. */
function difference(actual: Float32Array, expected: Float32Array): { worst: number; psnr: number } {
  expect(actual.length).toBe(expected.length);
  let [worst, squares] = [0, 0];
  actual.forEach((value, i) => {
    const d = Math.abs(value - expected[i]!);
    worst = Math.max(worst, d);
    squares += d * d;
  });
  return { worst, psnr: -10 * Math.log10(squares / actual.length) };
}
