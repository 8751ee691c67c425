// The papers' protocol on small images, and sheets of samples.

import { expect, test } from 'vitest';
import type { Image } from '../../formats/image.js';
import { psnr, psnrY, ssimY } from '../../formats/metrics.js';
import { fromPlanes, toPlanes } from '../../formats/pixels.js';
import { imresize } from '../../formats/resize.js';
import { sampleSheet } from '../../train/sheet.js';
import { evaluate, score, testImage } from '../../train/validation.js';

/** A picture with edges and slopes. */
function picture(width: number, height: number, phase = 0): Image {
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return 128 + 90 * Math.sin((x * (c + 1)) / 7 + phase) + ((x + 2 * y) % 11 > 5 ? 30 : -30);
  });
  return { width, height, channels: 3, depth: 8, data };
}

test('the original is cropped, reduced, rounded and enlarged again', async () => {
  const original = picture(43, 33);
  const test = testImage('a', original, 2);
  expect([test.hr.width, test.hr.height, test.lr.width, test.lr.height]).toEqual([42, 32, 21, 16]);
  expect(test.hr.data.subarray(0, 126)).toEqual(original.data.subarray(0, 126));
  expect(test.hr.data.subarray(126, 252)).toEqual(original.data.subarray(129, 255));
  expect(test.lr.data.every((value) => Math.fround(Math.round(value * 255) / 255) === value)).toBe(true);

  const half = fromPlanes({ rgb: imresize(toPlanes(test.hr).rgb, 0.5) }, test.hr);
  expect(toPlanes(half).rgb.data).toEqual(test.lr.data);
  const enlarged = fromPlanes({ rgb: imresize(test.lr, 2) }, test.hr);
  expect(test.bicubic.image.data).toEqual(enlarged.data);
  expect(test.bicubic.scores).toEqual({
    psnr: psnrY(enlarged, test.hr, 2),
    ssim: ssimY(enlarged, test.hr, 2),
    psnrRgb: psnr(enlarged, test.hr, 2),
  });
});

test('a network is judged as bicubic is: rounded, clipped, without the border', async () => {
  const test = testImage('a', picture(40, 40), 4);
  const same = await score(test, async (lr) => imresize(lr, 4));
  expect(same.scores).toEqual(test.bicubic.scores);

  const truth = toPlanes(test.hr).rgb;
  const perfect = await score(test, async () => ({
    ...truth,
    data: truth.data.map((value, i) => {
      const [x, y] = [i % 40, Math.floor(i / 40) % 40];
      const border = Math.min(x, y, 39 - x, 39 - y) < 4;
      return border ? 5 : value + 0.4 / 255;
    }),
  }));
  expect(perfect.scores).toEqual({
    psnr: Number.POSITIVE_INFINITY,
    ssim: 1,
    psnrRgb: Number.POSITIVE_INFINITY,
  });
});

test('means are those of the images', async () => {
  const tests = [testImage('a', picture(32, 32), 2), testImage('b', picture(40, 32, 2), 2)];
  const seen: string[] = [];
  const { rows, mean } = await evaluate(
    tests,
    async (lr) => imresize(lr, 2),
    async ({ name }) => void seen.push(name),
  );
  expect(seen).toEqual(['a', 'b']);
  expect(rows.map(({ name }) => name)).toEqual(['a', 'b']);
  const [a, b] = tests.map(({ bicubic }) => bicubic.scores);
  expect(a!.psnr).not.toBe(b!.psnr);
  expect(mean.ours.psnr).toBeCloseTo((a!.psnr + b!.psnr) / 2, 12);
  expect(mean.bicubic.ssim).toBeCloseTo((a!.ssim + b!.ssim) / 2, 12);
  await expect(evaluate([], async (lr) => lr)).rejects.toThrow('there are no images to evaluate');
});

test('reduced images are taken as they are', () => {
  const original = picture(45, 33);
  const reduced = picture(22, 16, 1);
  const test = testImage('a', original, 2, reduced);
  expect([test.hr.width, test.hr.height]).toEqual([44, 32]);
  expect(test.lr.data).toEqual(toPlanes(reduced).rgb.data);
  expect(() => testImage('a', original, 2, picture(20, 16))).toThrow(
    'the reduced a: this is not 1/2 of its original',
  );
});

test('16 bits, gray and transparency become 8-bit RGB', () => {
  const gray = Uint16Array.from({ length: 2 * 32 * 32 }, (_, i) => (i % 2 ? 0 : 257 * (i % 200)));
  const { hr } = testImage('a', { width: 32, height: 32, channels: 2, depth: 16, data: gray }, 2);
  expect(hr).toMatchObject({ channels: 3, depth: 8 });
  expect([...hr.data.subarray(3, 9)]).toEqual([2, 2, 2, 4, 4, 4]);
});

test('images that are too small are named', () => {
  expect(() => testImage('tiny.png', picture(18, 40), 4)).toThrow(
    'tiny.png: 18x40 pixels are too few to be evaluated',
  );
});

test('a sheet shows the same place thrice, image below image', async () => {
  const tests = [testImage('a', picture(40, 32), 2), testImage('b', picture(24, 48, 2), 2)];
  const samples = await Promise.all(
    tests.map(async (test) => ({ ...test, ours: await score(test, async (lr) => imresize(lr, 2)) })),
  );
  const sheet = sampleSheet(samples, 30);
  // 30x30 of the first, 24x30 of the second.
  expect([sheet.width, sheet.height]).toEqual([3 * 30 + 2 * 4, 30 + 4 + 30]);
  const pixel = (image: Image, x: number, y: number) => [
    ...image.data.subarray(3 * (y * image.width + x), 3 * (y * image.width + x) + 3),
  ];
  const first = samples[0]!;
  expect(pixel(sheet, 0, 0)).toEqual(pixel(first.bicubic.image, 5, 1));
  expect(pixel(sheet, 34, 29)).toEqual(pixel(first.ours.image, 5, 30));
  expect(pixel(sheet, 68 + 29, 29)).toEqual(pixel(first.hr, 34, 30));
  expect(pixel(sheet, 56, 34)).toEqual(pixel(samples[1]!.hr, 0, 9));
  expect(pixel(sheet, 31, 5)).toEqual([255, 255, 255]);
  expect(pixel(sheet, 90, 50)).toEqual([255, 255, 255]);
});
