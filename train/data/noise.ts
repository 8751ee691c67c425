// The noise of Real-ESRGAN's degradation (BasicSR's degradations.py): Gaussian as of electronics, Poisson as of light;
// in each channel its own, or gray. Results are clamped to [0, 1].

import type { Planes } from '../../formats/image.js';
import type { Random } from '../random.js';

/** `sigma` is in 8-bit steps. */
export function addGaussian(planes: Planes, sigma: number, gray: boolean, random: Random): Planes {
  const noise = new Float32Array(gray ? areaOf(planes) : planes.data.length);
  for (let i = 0; i < noise.length; i++) noise[i] = (random.normal() * sigma) / 255;
  return addNoise(planes, noise, 1);
}

/** What counting photons would add, times `factor`. There are as many photons as there are levels of brightness. */
export function addPoisson(planes: Planes, factor: number, gray: boolean, random: Random): Planes {
  const levels = quantize(gray ? luma(planes) : planes.data);
  const used = new Set(levels).size;
  const photons = 2 ** Math.ceil(Math.log2(used));
  const samplers = Array.from({ length: 256 }, (_, level) => poisson((level / 255) * photons));
  const noise = new Float32Array(levels.length);
  for (let i = 0; i < noise.length; i++) {
    const level = levels[i]!;
    noise[i] = samplers[level]!(random.uniform()) / photons - level / 255;
  }
  return addNoise(planes, noise, factor);
}

/** Noise of one channel goes into all of them. */
function addNoise(planes: Planes, noise: Float32Array, factor: number): Planes {
  const data = new Float32Array(planes.data.length);
  for (let i = 0; i < data.length; i++) {
    data[i] = unit(planes.data[i]! + factor * noise[i % noise.length]!);
  }
  return { ...planes, data };
}

/** With torchvision's weights. */
function luma(planes: Planes): Float32Array {
  const { data } = planes;
  const gray = new Float32Array(areaOf(planes));
  for (let i = 0, area = gray.length; i < area; i++) {
    gray[i] = 0.2989 * data[i]! + 0.587 * data[area + i]! + 0.114 * data[2 * area + i]!;
  }
  return gray;
}

function quantize(values: Float32Array): Uint8Array {
  const levels = new Uint8Array(values.length);
  for (let i = 0; i < levels.length; i++) levels[i] = Math.round(255 * unit(values[i]!));
  return levels;
}

function areaOf({ width, height }: Planes): number {
  return width * height;
}

function unit(value: number): number {
  return Math.min(Math.max(value, 0), 1);
}

/**
 * Poisson numbers of one mean, by inversion: the number at which the distribution function passes a uniform one. Means
 * go up to 256, and a picture draws from each of them thousands of times, so the function is tabulated.
 */
export function poisson(mean: number): (uniform: number) => number {
  if (mean === 0) return () => 0;
  // Ten standard deviations and the skew of small means hold all but less than a 32-bit uniform number resolves.
  const length = Math.ceil(mean + 10 * Math.sqrt(mean) + 20);
  const table = new Float64Array(length);
  const logMean = Math.log(mean);
  let sum = 0;
  let logFactorial = 0;
  for (let n = 0; n < length; n++) {
    if (n > 0) logFactorial += Math.log(n);
    sum += Math.exp(n * logMean - mean - logFactorial);
    table[n] = sum;
  }
  return (uniform) => {
    let [low, high] = [0, length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (table[middle]! > uniform) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
