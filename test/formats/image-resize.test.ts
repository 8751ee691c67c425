import { describe, expect, test } from 'vitest';
import type { Planes } from '../../formats/image.js';
import { cubicTaps, imresize, imresizeTo } from '../../formats/resize.js';

function planes(
  width: number,
  height: number,
  value: (x: number, y: number, c: number) => number,
  channels = 1,
): Planes {
  const data = new Float32Array(channels * height * width);
  for (let i = 0; i < data.length; i++) {
    data[i] = value(i % width, Math.floor(i / width) % height, Math.floor(i / (width * height)));
  }
  return { channels, height, width, data };
}

function mirrored(half: readonly number[]): number[] {
  return [...half, ...half.toReversed()];
}

describe('taps for whole-number shrinking are the exact rationals of MATLAB', () => {
  test.each([
    { s: 2, first: -3, denominator: 256, taps: mirrored([-3, -9, 29, 111]) },
    { s: 3, first: -4, denominator: 81, taps: [-1, -2, 0, 9, 21, 27, 21, 9, 0, -2, -1] },
    { s: 4, first: -6, denominator: 4096, taps: mirrored([-7, -45, -75, -49, 93, 399, 745, 987]) },
    {
      s: 8,
      first: -12,
      denominator: 65536,
      taps: mirrored([
        -15, -117, -275, -441, -567, -605, -507, -225, 317, 1263, 2505, 3899, 5301, 6567, 7553, 8115,
      ]),
    },
  ])('by $s', ({ s, first, denominator, taps }) => {
    const { count, index, weight } = cubicTaps(20 * s, 20, 1 / s);
    const k = 10;
    const dense = new Map<number, number>();
    for (let i = k * count; i < (k + 1) * count; i++) {
      if (weight[i] !== 0) dense.set(index[i]! - s * k, weight[i]! * denominator);
    }
    for (const [i, tap] of taps.entries()) expect(dense.get(first + i) ?? 0).toBeCloseTo(tap, 8);
    expect([...dense.keys()].filter((i) => i < first || i >= first + taps.length)).toEqual([]);
  });
});

describe('imresize', () => {
  test('an impulse enlarged by 4 is the kernel sampled at odd eighths', () => {
    const out = imresize(
      planes(7, 1, (x) => (x === 3 ? 1 : 0)),
      4,
    );
    expect([out.width, out.height]).toEqual([28, 4]);
    const kernel = mirrored([-7, -45, -75, -49, 93, 399, 745, 987]).map((tap) => tap / 1024);
    expect([...out.data.subarray(28, 56)]).toEqual([...Array(6).fill(0), ...kernel, ...Array(6).fill(0)]);
  });

  test('edges are mirrored with the edge pixel repeated', () => {
    // Centre -3/8 with neighbours -2 -1 | 0 1, that is input 1 0 | 0 1, and taps -45 399 | 745 -75.
    const out = imresize(
      planes(2, 1, (x) => x),
      4,
    );
    expect(out.data[0]).toBe((-45 - 75) / 1024);
    expect(out.data[7]).toBe(1 + (45 + 75) / 1024);
  });

  test('both directions and all channels', () => {
    const impulse = planes(8, 12, (x, y, c) => (c === 2 && x === 5 && y === 6 ? 1 : 0), 3);
    const out = imresize(impulse, 0.5);
    expect([out.channels, out.height, out.width]).toEqual([3, 6, 4]);
    // Output (2, 3) is centred between inputs (4, 6) and (5, 7), (1, 2) between (2, 4) and (3, 5).
    expect(out.data[2 * 24 + 3 * 4 + 2]).toBe((111 * 111) / 65536);
    expect(out.data[2 * 24 + 2 * 4 + 1]).toBe((-9 * 29) / 65536);
    expect(out.data.subarray(0, 48)).toEqual(new Float32Array(48));
  });

  test.each([0.1, 1 / 3, 0.5, 0.77, 1, 1.5, 2, Math.PI, 4])(
    'a constant stays constant at scale %f',
    (scale) => {
      const out = imresize(
        planes(13, 9, () => 0.7),
        scale,
      );
      for (const value of out.data) expect(value).toBeCloseTo(0.7, 6);
    },
  );

  test('sizes are rounded up', () => {
    const size = ({ width, height }: Planes) => [width, height];
    expect(
      size(
        imresize(
          planes(13, 9, () => 0),
          0.25,
        ),
      ),
    ).toEqual([4, 3]);
    expect(
      size(
        imresize(
          planes(13, 9, () => 0),
          1.5,
        ),
      ),
    ).toEqual([20, 14]);
    expect(
      size(
        imresize(
          planes(1, 1, () => 0),
          0.125,
        ),
      ),
    ).toEqual([1, 1]);
  });

  test('scale 1 gives the same pixels', () => {
    const image = planes(5, 4, (x, y) => x * y);
    expect(imresize(image, 1)).toEqual(image);
    expect(imresizeTo(image, 5, 4)).toEqual(image);
  });

  test('a ramp stays a ramp away from the edges, at any scale', () => {
    const out = imresizeTo(
      planes(40, 1, (x) => x),
      50,
      1,
    );
    for (let x = 5; x < 45; x++) expect(out.data[x]).toBeCloseTo((x + 0.5) * 0.8 - 0.5, 4);
  });
});
