// Images made of numbers: the same everywhere, 8 bits a channel as in files, smooth areas, edges and noise as in photos.

import type { PlanarImage } from '../runtime/image.js';
import { randomFor } from '../train/random.js';

/** Planes of red, green and blue in [0, 1]. */
export function testImage(width: number, height: number, seed = 0): PlanarImage {
  const random = randomFor(seed, 'bench', width, height);
  const data = new Float32Array(3 * width * height);
  for (let channel = 0; channel < 3; channel++) {
    const [fx, fy, phase] = [random.uniform(2, 9), random.uniform(2, 9), random.uniform(0, 6)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const wave = Math.sin((fx * x) / width + (fy * y) / height + phase);
        const edge = (x >> 3) % 5 === (y >> 4) % 3 ? 0.25 : 0;
        const value = 0.5 + 0.2 * wave + edge + random.uniform(-0.03, 0.03);
        data[(channel * height + y) * width + x] = Math.round(255 * Math.min(1, Math.max(0, value))) / 255;
      }
    }
  }
  return { width, height, data };
}

/** The mean of every `factor` x `factor` pixels. */
export function reduced({ width, height, data }: PlanarImage, factor: number): PlanarImage {
  const [w, h] = [width / factor, height / factor];
  const small = new Float32Array(3 * w * h);
  data.forEach((value, i) => {
    const [x, y, channel] = [i % width, Math.floor(i / width) % height, Math.floor(i / (width * height))];
    small[(channel * h + Math.floor(y / factor)) * w + Math.floor(x / factor)]! += value / factor ** 2;
  });
  return { width: w, height: h, data: small };
}

/** NCHW as `[n][h][w][stride]`, channels that are not there zero. */
export function channelsLast(
  data: Float32Array,
  [n, c, h, w]: readonly [number, number, number, number],
  stride = 4,
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(n * h * w * stride);
  data.forEach((value, i) => {
    const [pixel, channel, b] = [i % (h * w), Math.floor(i / (h * w)) % c, Math.floor(i / (c * h * w))];
    result[(b * h * w + pixel) * stride + channel] = value;
  });
  return result;
}

/** Rows of pixels `[h][w][3]` as planes. */
export function planes(data: Float32Array): Float32Array {
  const pixels = data.length / 3;
  return data.map((_, i) => data[(i % pixels) * 3 + Math.floor(i / pixels)]!);
}
