// `src eval`: its table, its JSON, the images it saves, and what every mistake looks like.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import type { Image } from '../../formats/image.js';
import { psnrY, ssimY } from '../../formats/metrics.js';
import { testImage } from '../../train/validation.js';
import { describeOnDevice, onDevice } from '../on-device.js';
import { describeWithOrt } from '../on-ort.js';
import { DOUBLER, filesIn, identityWeights, src, temporaryFolder, writeFiles } from './harness.js';

function picture(width: number, height: number, seed: number): Image {
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return 128 + 60 * Math.sin(x / 5 + seed) + 60 * Math.cos((y * seed) / 9) + (i % 3);
  });
  return { width, height, channels: 3, depth: 8, data };
}

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const originals = { 'a.png': picture(33, 40, 1), 'deep/b.png': picture(40, 32, 2) };
const paths = writeFiles(folder, {
  'doubler.sr': DOUBLER,
  'doubler.safetensors': identityWeights(DOUBLER),
  'runs/x/weights/psnr.safetensors': identityWeights(DOUBLER),
  'hr/a.png': await encodeImage(originals['a.png'], 'png'),
  'hr/deep/b.png': await encodeImage(originals['deep/b.png'], 'png'),
  'hr/notes.txt': 'no image',
  'lr/ax2.png': await encodeImage(picture(16, 20, 5), 'png'),
  'lr/deep/b.png': await encodeImage(picture(20, 16, 6), 'png'),
  'half/a.png': await encodeImage(picture(16, 20, 5), 'png'),
  'wrong/a.png': await encodeImage(picture(10, 10, 5), 'png'),
  'broken/a.png': 'no image',
  'none/notes.txt': 'no image',
});
const HR = join(folder, 'hr');

const NETWORK = [paths['doubler.sr'], '--weights', paths['doubler.safetensors'], ...onDevice];

/** The network doubles pixels. */
function doubled(name: 'a.png' | 'deep/b.png'): {
  readonly image: Image;
  readonly psnr: number;
  readonly ssim: number;
} {
  const { lr, hr } = testImage(name, originals[name], 2);
  const data = hr.data.slice();
  const plane = lr.width * lr.height;
  for (let i = 0; i < data.length; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % hr.width, Math.floor(i / 3 / hr.width)];
    data[i] = Math.round(255 * lr.data[c * plane + (y >> 1) * lr.width + (x >> 1)]!);
  }
  const image = { ...hr, data };
  return { image, psnr: psnrY(image, hr, 2), ssim: ssimY(image, hr, 2) };
}

describeOnDevice('on a device', ({ description }) => {
  test('a table per image and the mean', async () => {
    const { code, out, err } = await src(['eval', ...NETWORK, '--data', HR]);
    expect(code).toBe(0);
    expect(err).toMatch(/^.+\n$/);
    expect(err).toContain(description.name);
    const [groups, titles, ...rows] = out.trimEnd().split('\n');
    expect(groups!.trim().split(/\s+/)).toEqual(['bicubic', 'doubler']);
    const columns = ['PSNR-Y', 'SSIM-Y', 'PSNR-RGB'];
    expect(titles!.trim().split(/\s+/)).toEqual([...columns, ...columns, 'gain']);
    const cells = rows.map((row) => row.split(/\s+/));
    expect(cells.map(([name]) => name)).toEqual(['a.png', 'deep/b.png', 'mean']);
    for (const row of rows) expect(row.length).toBe(titles!.length);
    for (const [i, name] of (['a.png', 'deep/b.png'] as const).entries()) {
      const { psnr, ssim } = doubled(name);
      const bicubic = testImage(name, originals[name], 2).bicubic.scores;
      expect(cells[i]!.slice(1, 3)).toEqual([bicubic.psnr.toFixed(2), bicubic.ssim.toFixed(4)]);
      expect(cells[i]!.slice(4, 6)).toEqual([psnr.toFixed(2), ssim.toFixed(4)]);
      expect(Number(cells[i]![7])).toBeCloseTo(psnr - bicubic.psnr, 1);
    }
  });

  test('as JSON, with weights of a run and reduced images of its own', async () => {
    const run = [paths['doubler.sr'], '--weights', join(folder, 'runs/x'), ...onDevice];
    const { code, out } = await src([
      'eval',
      ...run,
      '--data',
      HR,
      '--data-lr',
      join(folder, 'lr'),
      '--json',
    ]);
    expect(code).toBe(0);
    const { images, mean, ...facts } = JSON.parse(out);
    expect(facts).toEqual({
      network: 'doubler',
      weights: paths['runs/x/weights/psnr.safetensors'],
      scale: 2,
      device: expect.any(String),
      precision: 'f32',
    });
    const { scores } = testImage('a', originals['a.png'], 2, picture(16, 20, 5)).bicubic;
    expect(images[0]).toMatchObject({ name: 'a.png', bicubic: scores });
    expect(mean.psnr).toBeCloseTo((images[0].psnr + images[1].psnr) / 2, 12);
    expect(mean.bicubic.ssim).toBeCloseTo((images[0].bicubic.ssim + images[1].bicubic.ssim) / 2, 12);
  });

  test('results are saved', async () => {
    const results = join(folder, 'results');
    const { code } = await src(['eval', ...NETWORK, '--data', HR, '--save', results]);
    expect(code).toBe(0);
    expect(filesIn(results)).toEqual(['a.png', 'deep/b.png']);
    const saved = await decodeImage('a', readFileSync(join(results, 'a.png')));
    expect(saved.data).toEqual(doubled('a.png').image.data);
  });
});

describeWithOrt('in ONNX Runtime', ({ version }) => {
  test('the table as it must be, in f32 whatever is asked for', async () => {
    const cpu = ['--device', 'cpu', '--precision', 'f16', '--json'];
    const { code, out, err } = await src(['eval', ...NETWORK, '--data', HR, ...cpu]);
    expect({ code, err }).toEqual({ code: 0, err: `ONNX Runtime ${version} on the CPU, in f32\n` });
    const { images, device, precision } = JSON.parse(out);
    expect({ device, precision }).toEqual({ device: `ONNX Runtime ${version} on the CPU`, precision: 'f32' });
    for (const { name, psnr, ssim } of images) {
      expect(psnr).toBeCloseTo(doubled(name).psnr, 9);
      expect(ssim).toBeCloseTo(doubled(name).ssim, 9);
    }
  });
});

describe('mistakes', () => {
  test.each([
    [[...NETWORK], 'which images? --data is missing'],
    [[paths['doubler.sr'], '--data', HR], 'trained weights are needed'],
    [[...NETWORK, '--data', `${HR}x`], `${HR}x: cannot be read: there is no such file or folder`],
    [[...NETWORK, '--data', join(folder, 'none')], `${folder}/none: no images in this folder`],
    [
      [...NETWORK, '--data', HR, '--data-lr', join(folder, 'half')],
      '1 of 2 images have no reduced version here',
    ],
    [[paths['doubler.sr'], '--weights', HR, '--data', HR], `${HR}: there are no weights in this folder`],
    [
      [...NETWORK, '--data', paths['hr/a.png'], '--data-lr', paths['wrong/a.png']],
      'the reduced a.png: this is not 1/2 of its original',
    ],
    [[...NETWORK, '--data', HR, '--save', HR], `--save ${HR}: results would replace originals`],
    [[...NETWORK, '--data', join(folder, 'broken')], `${paths['broken/a.png']}: this is not an image`],
    [['compact', '--weights', paths['doubler.safetensors'], '--data', HR], 'doubler.safetensors'],
  ])('%j', async (argv, expected) => {
    const { code, out, err } = await src(['eval', ...argv]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^error: /);
    expect(err).toContain(expected);
    expect(err).not.toMatch(/\n\s+at /);
  });
});
