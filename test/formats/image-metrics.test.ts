import { describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import type { Channels, Image } from '../../formats/image.js';
import { psnr, psnrY, ssimY } from '../../formats/metrics.js';
import { noise } from './png-fixture.js';

function image(
  width: number,
  height: number,
  channels: Channels,
  value: (x: number, y: number, c: number) => number,
): Image {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / channels);
    data[i] = value(pixel % width, Math.floor(pixel / width), i % channels);
  }
  return { width, height, channels, depth: 8, data };
}

const rough = image(17, 14, 3, (x, y, c) => noise(x, y, c) & 255);
const rougher = image(17, 14, 3, (x, y, c) => (noise(x, y, c) & 240) + (noise(y, x, c) & 7));

describe('PSNR', () => {
  test('of equal images is infinite', () => {
    expect(psnr(rough, rough)).toBe(Infinity);
    expect(psnrY(rough, rough)).toBe(Infinity);
  });

  test('by hand: one of 12 samples off by 10', () => {
    const a = image(2, 2, 3, () => 100);
    const b = image(2, 2, 3, (x, y, c) => (x === 1 && y === 0 && c === 2 ? 110 : 100));
    expect(psnr(a, b)).toBeCloseTo(10 * Math.log10((255 ** 2 * 12) / 100), 10);
    // Luma: blue counts 24.966 / 255, one pixel of four.
    expect(psnrY(a, b)).toBeCloseTo(10 * Math.log10((255 ** 2 * 4) / ((10 * 24.966) / 255) ** 2), 10);
  });

  test('on gray differences, Y is better by 20 log10(255 / 219)', () => {
    const a = image(9, 5, 1, (x, y) => noise(x, y, 0) & 127);
    const b = image(9, 5, 1, (x, y) => (noise(x, y, 0) & 127) + (noise(x, y, 1) & 31));
    expect(psnrY(a, b) - psnr(a, b)).toBeCloseTo(20 * Math.log10(255 / 219), 8);
    const asRgb = ({ data }: Image) => image(9, 5, 3, (x, y) => data[y * 9 + x]!);
    expect(psnr(asRgb(a), asRgb(b))).toBeCloseTo(psnr(a, b), 10);
  });

  test('the border and alpha do not count', () => {
    const framed = image(6, 6, 4, (x, y, c) => (x > 0 && x < 5 && y > 0 && y < 5 ? 9 : noise(x, y, c) & 255));
    const flat = image(6, 6, 4, (_x, _y, c) => (c === 3 ? 77 : 9));
    expect(psnr(framed, flat, 1)).toBe(Infinity);
    expect(psnr(framed, flat)).toBeLessThan(20);
  });

  test('16 bits are rounded to 8 first', () => {
    const wide = (value: number): Image => ({
      ...image(1, 1, 1, () => 0),
      depth: 16,
      data: Uint16Array.of(value),
    });
    expect(psnr(wide(257 * 40 + 128), wide(257 * 40 - 128))).toBe(Infinity);
    expect(psnr(wide(257 * 40 + 129), wide(257 * 40))).toBeCloseTo(20 * Math.log10(255), 10);
  });

  test('different sizes and empty crops are refused', () => {
    expect(() =>
      psnr(
        rough,
        image(17, 13, 3, () => 0),
      ),
    ).toThrow(UserError);
    expect(() => psnr(rough, rough, 7)).toThrow(/nothing is left to compare of 17x14 pixels/);
  });
});

describe('SSIM', () => {
  test('of equal images is 1', () => {
    expect(ssimY(rough, rough)).toBeCloseTo(1, 12);
  });

  test('of constants is the luminance term alone', () => {
    const [a, b] = [16 + (219 * 50) / 255, 16 + (219 * 90) / 255];
    const c1 = 2.55 ** 2;
    const expected = (2 * a * b + c1) / (a * a + b * b + c1);
    expect(
      ssimY(
        image(12, 11, 1, () => 50),
        image(12, 11, 1, () => 90),
      ),
    ).toBeCloseTo(expected, 10);
  });

  test('agrees with the two-dimensional definition, window by window', () => {
    const luma = ({ data }: Image, x: number, y: number) => {
      const at = (y * 17 + x) * 3;
      return 16 + (65.481 * data[at]! + 128.553 * data[at + 1]! + 24.966 * data[at + 2]!) / 255;
    };
    let sum = 0;
    let windows = 0;
    for (let top = 0; top + 11 <= 14; top++) {
      for (let left = 0; left + 11 <= 17; left++, windows++) {
        const pairs: [number, number, number][] = [];
        for (let y = 0; y < 11; y++) {
          for (let x = 0; x < 11; x++) {
            const weight = Math.exp(-((x - 5) ** 2 + (y - 5) ** 2) / 4.5);
            pairs.push([weight, luma(rough, left + x, top + y), luma(rougher, left + x, top + y)]);
          }
        }
        const total = pairs.reduce((t, [w]) => t + w, 0);
        const mean = (f: (a: number, b: number) => number) =>
          pairs.reduce((t, [w, a, b]) => t + w * f(a, b), 0) / total;
        const mA = mean((a) => a);
        const mB = mean((_, b) => b);
        const vA = mean((a) => (a - mA) ** 2);
        const vB = mean((_, b) => (b - mB) ** 2);
        const cov = mean((a, b) => (a - mA) * (b - mB));
        const [c1, c2] = [2.55 ** 2, 7.65 ** 2];
        sum += ((2 * mA * mB + c1) * (2 * cov + c2)) / ((mA ** 2 + mB ** 2 + c1) * (vA + vB + c2));
      }
    }
    expect(ssimY(rough, rougher)).toBeCloseTo(sum / windows, 10);
    expect(ssimY(rough, rougher)).toBeLessThan(0.999);
  });

  test('needs a window', () => {
    expect(() => ssimY(rough, rough, 2)).toThrow(/at least 11x11 pixels, there are 13x10/);
  });
});
