import { describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { type Channels, type Image, newSamples } from '../../formats/image.js';
import { fromPlanes, storeRows, toPlanes } from '../../formats/pixels.js';
import { noise } from './png-fixture.js';

function image(
  width: number,
  height: number,
  channels: Channels,
  depth: 8 | 16,
  samples?: ArrayLike<number>,
): Image {
  const data = newSamples(depth, width * height * channels);
  if (samples) data.set(Array.from(samples));
  else for (let i = 0; i < data.length; i++) data[i] = noise(i, 0, 0) >>> (32 - depth);
  return { width, height, channels, depth, data };
}

describe('to planes and back', () => {
  test('every value of 8 and 16 bits survives', () => {
    for (const depth of [8, 16] as const) {
      const all = image(
        256,
        depth === 8 ? 1 : 256,
        1,
        depth,
        Array.from({ length: 2 ** depth }, (_, i) => i),
      );
      expect(fromPlanes(toPlanes(all), all)).toEqual(all);
    }
  });

  test.each([1, 2, 3, 4] as const)('%i channels', (channels) => {
    const source = image(5, 3, channels, 16);
    const planes = toPlanes(source);
    expect(planes.rgb.data).toHaveLength(45);
    expect(planes.alpha?.data.length).toBe(channels % 2 === 0 ? 15 : undefined);
    expect(fromPlanes(planes, source)).toEqual(source);
  });

  test('gray is three equal channels in and their mean out', () => {
    const source = image(1, 1, 1, 8, [51]);
    const { rgb } = toPlanes(source);
    expect([...rgb.data]).toEqual(Array(3).fill(Math.fround(0.2)));
    expect(fromPlanes({ rgb: { ...rgb, data: Float32Array.of(0.1, 0.2, 0.6) } }, source).data[0]).toBe(77);
  });

  test('values beyond black and white are clamped, halves round up', () => {
    const source = image(5, 1, 1, 8, [0, 0, 0, 0, 0]);
    const values = [-0.3, 1.7, 100.5 / 255, 100.4 / 255, Infinity];
    const rgb = {
      channels: 3,
      height: 1,
      width: 5,
      data: Float32Array.from([...values, ...values, ...values]),
    };
    expect([...fromPlanes({ rgb }, source).data]).toEqual([0, 255, 101, 100, 255]);
  });

  test('NaN is an error with its place', () => {
    const source = image(2, 2, 3, 8);
    const { rgb } = toPlanes(source);
    rgb.data[3] = Number.NaN;
    try {
      fromPlanes({ rgb }, source);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).diagnostics[0]?.notes).toEqual(['the first is at column 1, row 1']);
    }
  });

  test('bands of rows make up the same image', () => {
    const source = image(4, 6, 4, 8);
    const band = (top: number): Image => ({
      ...source,
      height: 2,
      data: source.data.slice(top * 16, (top + 2) * 16),
    });
    const target = image(4, 6, 4, 8, []);
    for (const top of [0, 2, 4]) storeRows(target, top, toPlanes(band(top)));
    expect(target).toEqual(source);
  });

  test('planes that do not fit are our mistake', () => {
    const source = image(4, 6, 4, 8);
    const planes = toPlanes(source);
    expect(() => storeRows(source, 1, planes)).toThrow(
      /internal: 4x6 pixels at row 1, with alpha, do not fit/,
    );
    expect(() => storeRows(source, 0, { rgb: planes.rgb })).toThrow(/internal/);
    expect(() => storeRows(image(3, 6, 4, 8), 0, planes)).toThrow(/internal/);
    expect(() => storeRows(image(4, 6, 3, 8), 0, planes)).toThrow(/internal/);
  });

  test('the physical size is kept: density grows with the image', () => {
    const source: Image = {
      ...image(2, 2, 3, 8),
      density: { x: 1000, y: 2000, unit: 'metre' },
      icc: Uint8Array.of(1),
    };
    const rgb = { channels: 3, height: 6, width: 8, data: new Float32Array(144) };
    const out = fromPlanes({ rgb }, source);
    expect(out.density).toEqual({ x: 4000, y: 6000, unit: 'metre' });
    expect(out.icc).toEqual(source.icc);
    const ratio = { x: 1, y: 2, unit: 'aspect' } as const;
    expect(fromPlanes({ rgb }, { ...source, density: ratio }).density).toEqual(ratio);
  });
});

describe('colour under full transparency', () => {
  test('comes from the visible surroundings, so black never bleeds in', () => {
    // One opaque orange pixel and a half-transparent one in a black, invisible 9x7.
    const samples = new Uint8Array(9 * 7 * 4);
    samples.set([200, 100, 50, 255], (3 * 9 + 4) * 4);
    samples.set([200, 100, 50, 128], (3 * 9 + 5) * 4);
    const { rgb, alpha } = toPlanes(image(9, 7, 4, 8, samples));
    for (let i = 0; i < 63; i++) {
      for (const [c, value] of [200, 100, 50].entries())
        expect(rgb.data[c * 63 + i]).toBeCloseTo(value / 255, 6);
    }
    expect(alpha?.data.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1 + 128 / 255, 6);
  });

  test('leaves visible colour alone', () => {
    const samples = [10, 20, 30, 1, 40, 50, 60, 0, 70, 80, 90, 255];
    const { rgb } = toPlanes(image(3, 1, 4, 8, samples));
    expect([0, 2].map((x) => Math.round(rgb.data[x]! * 255))).toEqual([10, 70]);
  });

  test('an invisible image stays as it is', () => {
    const samples = [10, 20, 30, 0];
    const source = image(1, 1, 4, 8, samples);
    expect(fromPlanes(toPlanes(source), source)).toEqual(source);
  });
});
