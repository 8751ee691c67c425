// Linear filters on planes. Borders are mirrored without repeating the edge pixel, as OpenCV's BORDER_REFLECT_101 and
// PyTorch's "reflect" do; sums are f64.

import type { Planes } from '../../formats/image.js';

/** A square filter of odd width, row by row. */
export interface Kernel {
  readonly width: number;
  readonly weights: Float64Array;
}

/** … 2 1 | 0 1 2 | 1 0 … */
export function reflect(i: number, size: number): number {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const j = ((i % period) + period) % period;
  return j < size ? j : period - j;
}

/** The mean of each pixel's surroundings, weighted by the kernel (not flipped). */
export function filter2d(planes: Planes, { width: taps, weights }: Kernel): Planes {
  const { channels, height, width } = planes;
  const radius = (taps - 1) / 2;
  const padded = pad(planes, radius);
  const data = new Float32Array(planes.data.length);
  const sums = new Float64Array(width);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      sums.fill(0);
      for (let k = 0; k < taps; k++) {
        const from = (c * padded.height + y + k) * padded.width;
        addFiltered(sums, padded.data, from, weights, k * taps, taps);
      }
      data.set(sums, (c * height + y) * width);
    }
  }
  return { ...planes, data };
}

/** `filter2d` with the outer product of `weights` with itself. */
export function filterSeparable(planes: Planes, weights: Float64Array): Planes {
  return filterRows(filterRows(planes, weights), weights);
}

/** Filters rows and transposes, so that twice does both sides. */
function filterRows({ channels, height, width, data }: Planes, weights: Float64Array): Planes {
  const taps = weights.length;
  const columns = mirrored((taps - 1) / 2, width);
  const row = new Float64Array(columns.length);
  const sums = new Float64Array(width);
  const out = new Float32Array(data.length);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * height + y) * width;
      for (let x = 0; x < row.length; x++) row[x] = data[from + columns[x]!]!;
      sums.fill(0);
      addFiltered(sums, row, 0, weights, 0, taps);
      for (let x = 0, to = c * height * width + y; x < width; x++, to += height) out[to] = sums[x]!;
    }
  }
  return { channels, height: width, width: height, data: out };
}

/** In f64: converting at every use would cost half of the time. */
function pad({ channels, height, width, data }: Planes, radius: number) {
  const rows = mirrored(radius, height);
  const columns = mirrored(radius, width);
  const out = new Float64Array(channels * rows.length * columns.length);
  for (let c = 0, to = 0; c < channels; c++) {
    for (let y = 0; y < rows.length; y++) {
      const from = (c * height + rows[y]!) * width;
      for (let x = 0; x < columns.length; x++) out[to++] = data[from + columns[x]!]!;
    }
  }
  return { height: rows.length, width: columns.length, data: out };
}

function mirrored(radius: number, size: number): Int32Array {
  const indices = new Int32Array(size + 2 * radius);
  for (let i = 0; i < indices.length; i++) indices[i] = reflect(i - radius, size);
  return indices;
}

/** How many taps are added up at a time: what they share of the data stays in registers. */
const TAPS = 7;

/** Adds one row of a filter to the sums of a row of pixels. */
function addFiltered(
  sums: Float64Array,
  data: Float64Array,
  from: number,
  weights: Float64Array,
  first: number,
  taps: number,
): void {
  let k = 0;
  for (; k + TAPS <= taps; k += TAPS) {
    const at = first + k;
    const w0 = weights[at]!;
    const w1 = weights[at + 1]!;
    const w2 = weights[at + 2]!;
    const w3 = weights[at + 3]!;
    const w4 = weights[at + 4]!;
    const w5 = weights[at + 5]!;
    const w6 = weights[at + 6]!;
    let i = from + k;
    let d0 = data[i]!;
    let d1 = data[i + 1]!;
    let d2 = data[i + 2]!;
    let d3 = data[i + 3]!;
    let d4 = data[i + 4]!;
    let d5 = data[i + 5]!;
    for (let x = 0; x < sums.length; x++, i++) {
      const d6 = data[i + 6]!;
      sums[x]! += w0 * d0 + w1 * d1 + w2 * d2 + w3 * d3 + w4 * d4 + w5 * d5 + w6 * d6;
      d0 = d1;
      d1 = d2;
      d2 = d3;
      d3 = d4;
      d4 = d5;
      d5 = d6;
    }
  }
  for (; k < taps; k++) {
    const weight = weights[first + k]!;
    for (let x = 0, i = from + k; x < sums.length; x++, i++) sums[x]! += weight * data[i]!;
  }
}
