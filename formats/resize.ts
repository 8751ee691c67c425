// MATLAB's imresize(…, 'bicubic'): the resampling that super-resolution is trained and measured with. Cubic kernel with
// a = -1/2, stretched when shrinking (antialiasing), edges mirrored with the edge pixel repeated, height before width.
// Weights and sums are f64, so the result is that of the reference down to the rounding of the f32 samples.

import type { Planes } from './image.js';

/** Output `i` is the sum over k < count of weight[i*count + k] * input[index[i*count + k]]. */
export interface Taps {
  readonly count: number;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

/** Resizes by a factor; sizes are rounded up as MATLAB does. */
export function imresize(planes: Planes, scale: number): Planes {
  const width = Math.ceil(planes.width * scale);
  const height = Math.ceil(planes.height * scale);
  return resample(planes, cubicTaps(planes.width, width, scale), cubicTaps(planes.height, height, scale));
}

/** Resizes to a given size; the factor of each side is the ratio of the sizes. */
export function imresizeTo(planes: Planes, width: number, height: number): Planes {
  if (width === planes.width && height === planes.height) return planes;
  return resample(
    planes,
    cubicTaps(planes.width, width, width / planes.width),
    cubicTaps(planes.height, height, height / planes.height),
  );
}

/** The taps of one dimension. */
export function cubicTaps(inSize: number, outSize: number, scale: number): Taps {
  const shrink = Math.min(scale, 1);
  const support = 4 / shrink;
  const count = Math.ceil(support) + 2;
  const index = new Int32Array(outSize * count);
  const weight = new Float64Array(outSize * count);
  for (let i = 0; i < outSize; i++) {
    // 0-based centre of output i on the input's grid.
    const centre = (i + 0.5) / scale - 0.5;
    const first = Math.floor(centre - support / 2);
    let sum = 0;
    for (let k = 0; k < count; k++) {
      const w = cubic((centre - first - k) * shrink);
      weight[i * count + k] = w;
      index[i * count + k] = mirror(first + k, inSize);
      sum += w;
    }
    for (let k = 0; k < count; k++) weight[i * count + k]! /= sum;
  }
  return dropUnused({ count, index, weight }, outSize);
}

/** Keys' cubic convolution kernel, a = -1/2. */
function cubic(x: number): number {
  const t = Math.abs(x);
  if (t <= 1) return (1.5 * t - 2.5) * t * t + 1;
  if (t <= 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2;
  return 0;
}

/** … 1 0 | 0 1 2 | 2 1 … */
function mirror(i: number, size: number): number {
  const period = 2 * size;
  const j = ((i % period) + period) % period;
  return j < size ? j : period - 1 - j;
}

/** Leaves out the columns of taps that are zero for every output: the count above is an upper bound. */
function dropUnused({ count, index, weight }: Taps, outSize: number): Taps {
  const used = Array.from({ length: count }, (_, k) => k).filter((k) => {
    for (let i = 0; i < outSize; i++) if (weight[i * count + k] !== 0) return true;
    return false;
  });
  const pick = (i: number) => Math.floor(i / used.length) * count + used[i % used.length]!;
  return {
    count: used.length,
    index: Int32Array.from({ length: outSize * used.length }, (_, i) => index[pick(i)]!),
    weight: Float64Array.from({ length: outSize * used.length }, (_, i) => weight[pick(i)]!),
  };
}

/** Resizes by any taps, rows first. */
export function resample(planes: Planes, columns: Taps, rows: Taps): Planes {
  const { channels, width: inWidth, height: inHeight, data } = planes;
  const width = columns.index.length / columns.count;
  const height = rows.index.length / rows.count;
  const out = new Float32Array(channels * height * width);
  const row = new Float64Array(inWidth);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      row.fill(0);
      for (let k = 0; k < rows.count; k++) {
        const from = (c * inHeight + rows.index[y * rows.count + k]!) * inWidth;
        addRow(row, data, from, rows.weight[y * rows.count + k]!);
      }
      resampleRow(out, (c * height + y) * width, width, row, columns);
    }
  }
  return { channels, height, width, data: out };
}

function addRow(row: Float64Array, data: Float32Array, from: number, weight: number): void {
  for (let x = 0; x < row.length; x++) row[x]! += weight * data[from + x]!;
}

function resampleRow(out: Float32Array, to: number, width: number, row: Float64Array, taps: Taps): void {
  const { count, index, weight } = taps;
  let tap = 0;
  for (let x = 0; x < width; x++) {
    let sum = 0;
    for (let k = 0; k < count; k++, tap++) sum += weight[tap]! * row[index[tap]!]!;
    out[to + x] = sum;
  }
}
