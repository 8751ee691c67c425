// What JPEG (ITU-T T.81) does to a picture, without writing one: YCbCr, chroma halved both ways, 8x8 cosine transforms,
// quantisation. As BasicSR's DiffJPEG simulates it: any real quality, tables scaled but not rounded, chroma repeated when
// it is enlarged. Two of its slips are left out: the luma table is not transposed here, and sides that are no
// multiple of 16 are filled with their last pixels, as encoders do, not with black.

import type { Planes } from '../../formats/image.js';

/** T.81, table K.1; rows are vertical frequencies. */
const LUMA = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22,
  29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103,
  121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/** Table K.2: 99 but for the lowest frequencies. */
const CHROMA = Array.from({ length: 64 }, (_, i) => {
  const low = [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99];
  const [v, u] = [i >> 3, i & 7];
  return v < 4 && u < 4 ? low[4 * v + u]! : 99;
});

/** Orthonormal: coefficient u of sample x is at 8u + x. */
const COSINES = Float64Array.from({ length: 64 }, (_, i) => {
  const [u, x] = [i >> 3, i & 7];
  return (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
});

/** Three planes in [0, 1] at a quality from 1 to 100; the result is clamped. */
export function jpeg(planes: Planes, quality: number): Planes {
  const factor = (quality < 50 ? 5000 / quality : 200 - 2 * quality) / 100;
  const { width, height } = planes;
  const padded = { width: roundUp(width), height: roundUp(height) };
  const [y, cb, cr] = toYcc(planes, padded);
  const chroma = { width: padded.width / 2, height: padded.height / 2 };
  quantizeBlocks(y, padded.width, LUMA, factor);
  const halves = [cb, cr].map((full) => {
    const half = halve(full, chroma.width);
    quantizeBlocks(half, chroma.width, CHROMA, factor);
    return half;
  });
  return toRgb(planes, padded.width, y, halves[0]!, halves[1]!);
}

/** To whole blocks of halved chroma. */
function roundUp(size: number): number {
  return Math.ceil(size / 16) * 16;
}

/** In 8-bit steps, all three centred at 0. */
function toYcc({ width, height, data }: Planes, padded: { width: number; height: number }) {
  const area = width * height;
  const planes = [0, 1, 2].map(() => new Float64Array(padded.width * padded.height));
  const [y, cb, cr] = planes as [Float64Array, Float64Array, Float64Array];
  for (let row = 0, to = 0; row < padded.height; row++) {
    const from = Math.min(row, height - 1) * width;
    for (let column = 0; column < padded.width; column++, to++) {
      const i = from + Math.min(column, width - 1);
      const r = 255 * data[i]!;
      const g = 255 * data[area + i]!;
      const b = 255 * data[2 * area + i]!;
      y[to] = 0.299 * r + 0.587 * g + 0.114 * b - 128;
      cb[to] = -0.168736 * r - 0.331264 * g + 0.5 * b;
      cr[to] = 0.5 * r - 0.418688 * g - 0.081312 * b;
    }
  }
  return [y, cb, cr] as const;
}

/** The means of 2x2 pixels; `width` is that of the result. */
function halve(full: Float64Array, width: number): Float64Array {
  const half = new Float64Array(full.length / 4);
  for (let at = 0, to = 0; to < half.length; at += 2 * width) {
    for (const end = to + width; to < end; to++, at += 2) {
      half[to] = (full[at]! + full[at + 1]! + full[at + 2 * width]! + full[at + 2 * width + 1]!) / 4;
    }
  }
  return half;
}

/** In place. */
function quantizeBlocks(plane: Float64Array, width: number, table: readonly number[], factor: number): void {
  const steps = Float64Array.from(table, (step) => step * factor);
  const block = new Float64Array(64);
  const half = new Float64Array(64);
  for (let top = 0; top < plane.length; top += 8 * width) {
    for (let at = top; at < top + width; at += 8) {
      for (let y = 0; y < 8; y++) block.set(plane.subarray(at + y * width, at + y * width + 8), 8 * y);
      forward(block, half);
      forward(half, block);
      // Quality 100 quantises by 0, that is, not at all.
      if (factor > 0) for (let i = 0; i < 64; i++) block[i] = Math.round(block[i]! / steps[i]!) * steps[i]!;
      backward(block, half);
      backward(half, block);
      for (let y = 0; y < 8; y++) plane.set(block.subarray(8 * y, 8 * y + 8), at + y * width);
    }
  }
}

/** Transforms rows and transposes, so that twice does both sides. */
function forward(from: Float64Array, to: Float64Array): void {
  for (let y = 0; y < 8; y++) {
    for (let u = 0; u < 8; u++) {
      let sum = 0;
      for (let x = 0; x < 8; x++) sum += COSINES[8 * u + x]! * from[8 * y + x]!;
      to[8 * u + y] = sum;
    }
  }
}

function backward(from: Float64Array, to: Float64Array): void {
  for (let v = 0; v < 8; v++) {
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let u = 0; u < 8; u++) sum += COSINES[8 * u + x]! * from[8 * v + u]!;
      to[8 * x + v] = sum;
    }
  }
}

function toRgb(
  { channels, width, height }: Planes,
  stride: number,
  luma: Float64Array,
  blue: Float64Array,
  red: Float64Array,
): Planes {
  const area = width * height;
  const data = new Float32Array(channels * area);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const value = luma[y * stride + x]! + 128;
      const half = (y >> 1) * (stride / 2) + (x >> 1);
      const [cb, cr] = [blue[half]!, red[half]!];
      data[to] = unit(value + 1.402 * cr);
      data[area + to] = unit(value - 0.344136 * cb - 0.714136 * cr);
      data[2 * area + to] = unit(value + 1.772 * cb);
    }
  }
  return { channels, height, width, data };
}

/** 8-bit steps to [0, 1]. */
function unit(value: number): number {
  return Math.min(Math.max(value / 255, 0), 1);
}
