// PSNR and SSIM as the super-resolution literature reports them (BasicSR's protocol): on images rounded to 8 bits, in f64
// over 0 to 255, without a border of as many pixels as the scale. Y is MATLAB's BT.601 luma (16 to 235), not rounded.

import { fail } from '../diagnostics.js';
import { type Image, isGray, to8Bit } from './image.js';

/** One channel, 0 to 255. */
interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
}

/** Over all colour channels, in dB; infinite for equal images. Alpha is not compared. */
export function psnr(a: Image, b: Image, border = 0): number {
  const [cropA, cropB] = comparable(a, b, border);
  return psnrOf(
    cropA.map(({ data }) => data),
    cropB.map(({ data }) => data),
  );
}

/** On luma only, in dB. */
export function psnrY(a: Image, b: Image, border = 0): number {
  const [cropA, cropB] = comparable(a, b, border);
  return psnrOf([luma(cropA).data], [luma(cropB).data]);
}

/** Structural similarity of luma (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, where it fits entirely. */
export function ssimY(a: Image, b: Image, border = 0): number {
  const [cropA, cropB] = comparable(a, b, border);
  return ssimOf(luma(cropA), luma(cropB));
}

/** Red, green and blue (three times gray) of both images without their border. */
function comparable(a: Image, b: Image, border: number): [Plane[], Plane[]] {
  if (a.width !== b.width || a.height !== b.height) {
    fail(`images of different sizes cannot be compared: ${a.width}x${a.height} and ${b.width}x${b.height}`);
  }
  if (Math.min(a.width, a.height) <= 2 * border) {
    fail(`nothing is left to compare of ${a.width}x${a.height} pixels without a border of ${border}`);
  }
  return [rgbPlanes(a, border), rgbPlanes(b, border)];
}

function rgbPlanes(image: Image, border: number): Plane[] {
  const { width: fullWidth, channels, data: samples } = to8Bit(image);
  const width = image.width - 2 * border;
  const height = image.height - 2 * border;
  return [0, 1, 2].map((c) => {
    const data = new Float64Array(width * height);
    for (let y = 0, to = 0; y < height; y++) {
      let from = ((y + border) * fullWidth + border) * channels + (isGray(channels) ? 0 : c);
      for (let x = 0; x < width; x++, to++, from += channels) data[to] = samples[from]!;
    }
    return { width, height, data };
  });
}

function luma([red, green, blue]: readonly Plane[]): Plane {
  const data = red!.data.map(
    (r, i) => 16 + (65.481 * r + 128.553 * green!.data[i]! + 24.966 * blue!.data[i]!) / 255,
  );
  return { ...red!, data };
}

function psnrOf(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  let sum = 0;
  let count = 0;
  a.forEach((plane, c) => {
    for (let i = 0; i < plane.length; i++) sum += (plane[i]! - b[c]![i]!) ** 2;
    count += plane.length;
  });
  return 10 * Math.log10((255 * 255 * count) / sum);
}

const WINDOW = gaussian(11, 1.5);
const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

function ssimOf(a: Plane, b: Plane): number {
  if (Math.min(a.width, a.height) < WINDOW.length) {
    fail(`SSIM needs at least ${WINDOW.length}x${WINDOW.length} pixels, there are ${a.width}x${a.height}`);
  }
  const blurredProduct = (p: Plane, q: Plane) => blur({ ...p, data: p.data.map((v, i) => v * q.data[i]!) });
  const meanA = blur(a);
  const meanB = blur(b);
  const squareA = blurredProduct(a, a);
  const squareB = blurredProduct(b, b);
  const product = blurredProduct(a, b);
  let sum = 0;
  for (let i = 0; i < meanA.length; i++) {
    const [mA, mB] = [meanA[i]!, meanB[i]!];
    const varianceA = squareA[i]! - mA * mA;
    const varianceB = squareB[i]! - mB * mB;
    const covariance = product[i]! - mA * mB;
    sum +=
      ((2 * mA * mB + C1) * (2 * covariance + C2)) /
      ((mA * mA + mB * mB + C1) * (varianceA + varianceB + C2));
  }
  return sum / meanA.length;
}

/** The window's weighted mean at every place where it fits. */
function blur({ width, height, data }: Plane): Float64Array {
  const outWidth = width - WINDOW.length + 1;
  const outHeight = height - WINDOW.length + 1;
  const rows = new Float64Array(outWidth * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outWidth; x++) {
      let sum = 0;
      for (let k = 0; k < WINDOW.length; k++) sum += WINDOW[k]! * data[y * width + x + k]!;
      rows[y * outWidth + x] = sum;
    }
  }
  const out = new Float64Array(outWidth * outHeight);
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let k = 0; k < WINDOW.length; k++) sum += WINDOW[k]! * rows[i + k * outWidth]!;
    out[i] = sum;
  }
  return out;
}

function gaussian(size: number, sigma: number): Float64Array {
  const raw = Float64Array.from({ length: size }, (_, i) =>
    Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const sum = raw.reduce((total, value) => total + value, 0);
  return raw.map((value) => value / sum);
}
