// The pieces of Real-ESRGAN's degradation against PyTorch, NumPy, a real JPEG encoder and their own laws; then the whole.

import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import { realesrgan } from '../../dsl/degradations.js';
import type { Image, Planes } from '../../formats/image.js';
import { fromPlanes, toPlanes } from '../../formats/pixels.js';
import { besselJ1, gaussianKernel, plateauKernel, randomBlur, sincKernel } from '../../train/data/blur.js';
import { degrade, type SecondOrder } from '../../train/data/degrade.js';
import { filter2d, type Kernel, reflect } from '../../train/data/filter.js';
import { interpolate, MODES } from '../../train/data/interpolate.js';
import { jpeg } from '../../train/data/jpeg.js';
import { addGaussian, addPoisson, poisson } from '../../train/data/noise.js';
import { sharpen } from '../../train/data/usm.js';
import { randomFor } from '../../train/random.js';
import { answers, image } from './pytorch.js';

const TORCH = answers('degradation').tensors;

function torch(name: string): Planes {
  const { shape, data } = TORCH.get(name)!;
  const [channels, height, width] = shape as [number, number, number];
  return { channels, height, width, data: Float32Array.from(data) };
}

function planes(name: string, channels: number, height: number, width: number): Planes {
  return { channels, height, width, data: Float32Array.from(image(name, [channels, height, width]).data) };
}

function expectClose(actual: Planes, expected: Planes, digits = 6): void {
  expect([actual.channels, actual.height, actual.width]).toEqual([
    expected.channels,
    expected.height,
    expected.width,
  ]);
  expected.data.forEach((value, i) => {
    expect(actual.data[i]).toBeCloseTo(value, digits);
  });
}

/** Smooth colours with an edge through them, within [0.1, 0.9]. */
function scene(width: number, height: number, gray = false): Planes {
  const data = new Float32Array(3 * width * height);
  for (let c = 0, i = 0; c < 3; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const wave = Math.sin(x / 5 + (gray ? 0 : c)) * Math.cos(y / 7 - (gray ? 0 : c));
        data[i] = 0.5 + 0.2 * wave + (x + 2 * y > 1.5 * width ? 0.2 : -0.2);
      }
    }
  }
  return { channels: 3, height, width, data };
}

const rgb = (width: number, height: number): Image => ({
  width,
  height,
  channels: 3,
  depth: 8,
  data: new Uint8Array(3 * width * height),
});

const pictureOf = (from: Planes) => fromPlanes({ rgb: from }, rgb(from.width, from.height));

describe("resizing is PyTorch's", () => {
  const source = planes('resized', 2, 11, 13);
  const cases = MODES.flatMap((mode) => ['5x4', '17x29', '11x20'].map((size) => ({ mode, size })));
  test.each(cases)('$mode to $size', ({ mode, size }) => {
    const [height, width] = size.split('x').map(Number) as [number, number];
    expectClose(interpolate(source, { width, height }, mode), torch(`${mode} ${size}`));
  });

  test.each([
    ['bilinear', 0.37],
    ['bilinear', 1.42],
    ['bicubic', 0.37],
    ['bicubic', 1.42],
  ] as const)('%s by %f', (mode, factor) => {
    const size = { width: Math.floor(13 * factor), height: Math.floor(11 * factor) };
    expectClose(interpolate(source, size, mode, 1 / factor), torch(`${mode} ${factor}`));
  });

  test.each(MODES)('%s to the same size changes nothing', (mode) => {
    expect(interpolate(source, source, mode)).toEqual(source);
  });
});

describe('blur', () => {
  test('filters mirror the borders', () => {
    const kernel = { width: 9, weights: image('kernel', [9, 9]).data };
    expectClose(filter2d(planes('filtered', 2, 11, 13), kernel), torch('filtered'), 4);
    expect([-3, -1, 0, 3, 4, 6, 9].map((i) => reflect(i, 4))).toEqual([3, 1, 0, 3, 2, 0, 3]);
    expect(reflect(-5, 1)).toBe(0);
  });

  test('Gaussians are those of their covariance matrices', () => {
    const ellipse = { sigmaX: 1.3, sigmaY: 0.6, angle: 0.7 };
    const kernels: [string, Kernel][] = [
      ['gaussian', gaussianKernel(7, ellipse, 1)],
      ['generalized', gaussianKernel(7, ellipse, 1.7)],
      ['plateau', plateauKernel(7, ellipse, 1.7)],
    ];
    for (const [name, { weights }] of kernels) {
      TORCH.get(name)!.data.forEach((value, i) => {
        expect(weights[i]).toBeCloseTo(value, 7);
      });
    }
  });

  test("Bessel's J1", () => {
    const { data } = TORCH.get('bessel')!;
    [0.5, 1, 5, 10, 20, 44].forEach((x, i) => {
      expect(besselJ1(x)).toBeCloseTo(data[i]!, 7);
    });
  });

  test('sinc filters pass what is below their cut-off', () => {
    const { width, weights } = sincKernel(21, Math.PI / 2);
    const response = (frequency: number, along: (x: number, y: number) => number) =>
      weights.reduce((sum, weight, i) => {
        const [x, y] = [(i % width) - 10, Math.floor(i / width) - 10];
        return sum + weight * Math.cos(frequency * along(x, y));
      }, 0);
    for (const along of [
      (x: number) => x,
      (_: number, y: number) => y,
      (x: number, y: number) => (x + y) / Math.SQRT2,
    ]) {
      expect(Math.abs(response(0.25 * Math.PI, along) - 1)).toBeLessThan(0.1);
      expect(Math.abs(response(0.8 * Math.PI, along))).toBeLessThan(0.1);
    }
  });

  test('drawn blurs keep brightness, and have every width and both kinds of cut-off', () => {
    const { first } = realesrgan(4) as SecondOrder;
    const random = randomFor(1, 'blurs');
    const widths = new Set<number>();
    for (let i = 0; i < 300; i++) {
      const { width, weights } = randomBlur(first, random);
      widths.add(width);
      expect(weights.length).toBe(width * width);
      expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
      // Symmetric about the centre: nothing is moved.
      const skew = weights.map((weight, k) => Math.abs(weight - weights[weights.length - 1 - k]!));
      expect(Math.max(...skew)).toBeLessThan(1e-12);
    }
    expect([...widths].sort((a, b) => a - b)).toEqual([7, 9, 11, 13, 15, 17, 19, 21]);
    // Sinc filters alone have negative weights.
    const sinc = { ...first, sinc: 1 };
    expect(Math.min(...randomBlur(sinc, random).weights)).toBeLessThan(0);
    expect(Math.min(...randomBlur({ ...first, sinc: 0 }, random).weights)).toBeGreaterThanOrEqual(0);
  });
});

test('sharpening is that of Real-ESRGAN', () => {
  expectClose(sharpen(torch('smooth')), torch('sharpened'), 5);
});

describe('noise', () => {
  const flat = (value: number): Planes => ({
    channels: 3,
    height: 60,
    width: 60,
    data: new Float32Array(3 * 3600).fill(value),
  });
  const moments = (values: Float32Array) => {
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    return {
      mean,
      deviation: Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length),
    };
  };
  const isGray = ({ data }: Planes) => data.every((value, i) => value === data[i % 3600]);

  test('Gaussian noise has its standard deviation, in 8-bit steps', () => {
    const noisy = addGaussian(flat(0.5), 20, false, randomFor(1));
    const { mean, deviation } = moments(noisy.data);
    expect(mean).toBeCloseTo(0.5, 2);
    expect(deviation * 255).toBeGreaterThan(19);
    expect(deviation * 255).toBeLessThan(21);
    expect(isGray(noisy)).toBe(false);
    expect(isGray(addGaussian(flat(0.5), 20, true, randomFor(1)))).toBe(true);
  });

  test('results stay within black and white', () => {
    const noisy = addGaussian(flat(0.99), 30, false, randomFor(2)).data;
    expect(Math.max(...noisy)).toBe(1);
    expect(Math.min(...addPoisson(flat(0.01), 3, false, randomFor(2)).data)).toBe(0);
  });

  test.each([0.2, 4, 90])('Poisson numbers of mean %f', (mean) => {
    const draw = poisson(mean);
    const random = randomFor(3, mean);
    const values = Float32Array.from({ length: 20_000 }, () => draw(random.uniform()));
    expect(values.every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
    const found = moments(values);
    expect(Math.abs(found.mean - mean)).toBeLessThan(5 * Math.sqrt(mean / values.length));
    expect(found.deviation ** 2 / mean).toBeGreaterThan(0.93);
    expect(found.deviation ** 2 / mean).toBeLessThan(1.07);
    // The distribution function of 0 is exp(-mean).
    expect(draw(Math.exp(-mean) * 0.999)).toBe(0);
    expect(draw(Math.exp(-mean) * 1.001)).toBe(1);
  });

  test('Poisson noise counts as many photons as there are levels', () => {
    // Three levels: four photons at white, so two on average at the middle level.
    const steps = flat(128 / 255);
    steps.data[0] = 0;
    steps.data[1] = 1;
    const noisy = addPoisson(steps, 1, false, randomFor(4)).data.slice(2);
    const photons = noisy.map((value) => 4 * value);
    for (const count of photons) expect(Math.abs(count - Math.round(count))).toBeLessThan(1e-5);
    expect(moments(photons).mean).toBeCloseTo(2 - 0.0766, 1); // more than four are clamped to white
    const half = addPoisson(steps, 0.5, false, randomFor(4)).data;
    const whole = addPoisson(steps, 1, false, randomFor(4)).data;
    const i = whole.findIndex((value, k) => k > 1 && value > 0.6 && value < 0.9);
    expect(half[i]! - 128 / 255).toBeCloseTo((whole[i]! - 128 / 255) / 2, 6);
    expect(isGray(addPoisson(flat(0.5), 1, true, randomFor(4)))).toBe(true);
    expect(isGray(addPoisson(steps, 1, false, randomFor(4)))).toBe(false);
  });
});

describe('JPEG', () => {
  /** T.81, section A.3.3, as it is written there. */
  function dct(block: (x: number, y: number) => number, u: number, v: number): number {
    const scale = (k: number) => (k === 0 ? Math.SQRT1_2 : 1);
    let sum = 0;
    for (let y = 0; y < 8; y++) {
      for (let x = 0; x < 8; x++) {
        const cosines =
          Math.cos(((2 * x + 1) * u * Math.PI) / 16) * Math.cos(((2 * y + 1) * v * Math.PI) / 16);
        sum += block(x, y) * cosines;
      }
    }
    return (scale(u) * scale(v) * sum) / 4;
  }

  test('coefficients are the nearest multiples of the table', () => {
    const source = scene(24, 20, true);
    const result = jpeg(source, 35);
    const at =
      ({ data }: Planes) =>
      (x: number, y: number) =>
        255 * data[(8 + y) * 24 + 8 + x]! - 128;
    // Rows of table K.1 are vertical frequencies.
    const steps = [
      [0, 0, 16],
      [1, 0, 11],
      [0, 1, 12],
      [2, 1, 14],
      [0, 3, 14],
      [7, 0, 61],
      [0, 7, 72],
    ] as const;
    for (const [u, v, entry] of steps) {
      const step = (entry * (5000 / 35)) / 100;
      const expected = Math.round(dct(at(source), u, v) / step) * step;
      expect(dct(at(result), u, v)).toBeCloseTo(expected, 3);
    }
  });

  // At these qualities the scaled tables are whole numbers, as in files (at 100, almost). Encoders round chroma, too.
  test.each([25, 50, 100])('quality %i comes out as from an encoder', async (quality) => {
    const sharp = await import('sharp').catch(() => undefined);
    if (!sharp) return console.warn('\nSKIPPED: the JPEG simulation against sharp, which cannot be loaded\n');
    const gray = scene(74, 54, true);
    // Red grows to the right and blue to the bottom; ramps of chroma survive being smoothed.
    const colourful = gray.data.map((value, i) => {
      const [c, x, y] = [Math.floor(i / (74 * 54)), i % 74, Math.floor(i / 74) % 54];
      return 0.15 + 0.7 * value + (c === 0 ? 0.3 * (x / 74 - 0.5) : c === 2 ? 0.3 * (y / 54 - 0.5) : 0);
    });
    for (const source of [gray, { ...gray, data: colourful }]) {
      const picture = pictureOf(source);
      const bytes = await sharp
        .default(await encodeImage(picture, 'png'))
        .jpeg({ quality, chromaSubsampling: '4:2:0' })
        .toBuffer();
      const encoded = toPlanes(await decodeImage('a.jpg', bytes)).rgb;
      const simulated = jpeg(toPlanes(picture).rgb, quality);
      // Decoders smooth chroma over the 2x2 pixels that share it.
      const [ours, theirs] = [simulated, encoded].map(
        (full) => interpolate(full, { width: 37, height: 27 }, 'area').data,
      );
      const distance = ours!.reduce((sum, value, i) => sum + Math.abs(value - theirs![i]!), 0) / ours!.length;
      expect(255 * distance).toBeLessThan(source === gray ? 0.25 : 1);
    }
  });

  test('the best quality leaves gray as it is, and halves chroma', () => {
    const gray = scene(19, 21, true);
    expectClose(jpeg(gray, 100), gray, 5);
    const colourful = scene(16, 16);
    expect(
      Math.max(...jpeg(colourful, 100).data.map((v, i) => Math.abs(v - colourful.data[i]!))),
    ).toBeGreaterThan(0.01);
  });
});

describe('the whole degradation', () => {
  const settings = realesrgan(4) as SecondOrder;
  const original = pictureOf(scene(96, 80));

  test('is a function of the picture and the stream', () => {
    const once = degrade(original, settings, randomFor(1, 'a'));
    expect(once).toMatchObject({ width: 24, height: 20, channels: 3, depth: 8 });
    expect(degrade(original, settings, randomFor(1, 'a'))).toEqual(once);
    expect(degrade(original, settings, randomFor(1, 'b')).data).not.toEqual(once.data);
  });

  test('leaves the picture recognisable, at any draw', () => {
    const plain = toPlanes(original).rgb;
    const small = interpolate(plain, { width: 24, height: 20 }, 'area');
    for (let i = 0; i < 12; i++) {
      const { data } = toPlanes(degrade(original, settings, randomFor(2, i))).rgb;
      const mean = (values: Float32Array) => values.reduce((sum, v) => sum + v, 0) / values.length;
      const [mine, its] = [mean(data), mean(small.data)];
      const covariance = data.reduce((sum, v, k) => sum + (v - mine) * (small.data[k]! - its), 0);
      const norm = (values: Float32Array, m: number) =>
        Math.sqrt(values.reduce((sum, v) => sum + (v - m) ** 2, 0));
      expect(covariance / (norm(data, mine) * norm(small.data, its))).toBeGreaterThan(0.5);
    }
  });

  test('with every part switched off, only sharpening and the reduction are left', () => {
    const off = { blur: 0, enlarge: 0, reduce: 0, gaussian: 1, noise: [0, 0], jpeg: [100, 100] } as const;
    const none: SecondOrder = {
      ...settings,
      first: { ...settings.first, ...off },
      second: { ...settings.second, ...off },
      finalSinc: 0,
    };
    // Gray: halved chroma is all that the best JPEG does.
    const gray = pictureOf(scene(96, 80, true));
    const sharp = sharpen(toPlanes(gray).rgb);
    const candidates = MODES.map((mode) => pictureOf(interpolate(sharp, { width: 24, height: 20 }, mode)));
    const found = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const { data } = degrade(gray, none, randomFor(3, i));
      const index = candidates.findIndex((candidate) =>
        candidate.data.every((value, k) => Math.abs(value - data[k]!) <= 1),
      );
      expect(index).toBeGreaterThanOrEqual(0);
      found.add(index);
    }
    expect(found.size).toBe(3);
  });
});
