// The blurs of Real-ESRGAN (arXiv:2107.10833, sections 3.2 and 3.4; BasicSR's degradations.py): six kinds of Gaussian
// and the sinc filter, an ideal low-pass that rings as sharpened or compressed pictures do.

import type { DegradationOrder } from '../../dsl/recipe-calls.js';
import type { Random } from '../random.js';
import type { Kernel } from './filter.js';

/** What the blur of one round is drawn from. */
type BlurRanges = Pick<DegradationOrder, 'kernel' | 'sinc' | 'shapes' | 'sigma' | 'generalized' | 'plateau'>;

/** Standard deviations along the axes, turned by `angle`. */
interface Ellipse {
  readonly sigmaX: number;
  readonly sigmaY: number;
  readonly angle: number;
}

export function randomBlur(ranges: BlurRanges, random: Random): Kernel {
  const width = randomWidth(ranges, random);
  if (random.chance(ranges.sinc)) {
    // Narrow filters cannot cut off low.
    return sincKernel(width, random.uniform(width < 13 ? Math.PI / 3 : Math.PI / 5, Math.PI));
  }
  const shape = random.weighted(ranges.shapes);
  const ellipse = randomEllipse(ranges, shape % 2 === 1, random);
  if (shape < 2) return gaussianKernel(width, ellipse, 1);
  return shape < 4
    ? gaussianKernel(width, ellipse, randomExponent(ranges.generalized, random))
    : plateauKernel(width, ellipse, randomExponent(ranges.plateau, random));
}

/** The last filter of the whole degradation. */
export function randomSinc(ranges: Pick<BlurRanges, 'kernel'>, random: Random): Kernel {
  return sincKernel(randomWidth(ranges, random), random.uniform(Math.PI / 3, Math.PI));
}

/** An odd number within the range. */
function randomWidth({ kernel: [low, high] }: Pick<BlurRanges, 'kernel'>, random: Random): number {
  return low + 2 * random.below((high - low) / 2 + 1);
}

function randomEllipse({ sigma }: BlurRanges, anisotropic: boolean, random: Random): Ellipse {
  const sigmaX = random.uniform(...sigma);
  if (!anisotropic) return { sigmaX, sigmaY: sigmaX, angle: 0 };
  return { sigmaX, sigmaY: random.uniform(...sigma), angle: random.uniform(-Math.PI, Math.PI) };
}

/** Below 1, the exponent of a plain Gaussian, as often as above. */
function randomExponent([low, high]: readonly [number, number], random: Random): number {
  const middle = Math.min(Math.max(1, low), high);
  return random.chance(0.5) ? random.uniform(low, middle) : random.uniform(middle, high);
}

/** exp(-q^exponent / 2), q being the squared distance in standard deviations. */
export function gaussianKernel(width: number, ellipse: Ellipse, exponent: number): Kernel {
  const distance = squaredDistance(ellipse);
  return kernelOf(width, (x, y) => Math.exp(-0.5 * distance(x, y) ** exponent));
}

/** 1 / (1 + q^exponent) */
export function plateauKernel(width: number, ellipse: Ellipse, exponent: number): Kernel {
  const distance = squaredDistance(ellipse);
  return kernelOf(width, (x, y) => 1 / (1 + distance(x, y) ** exponent));
}

function squaredDistance({ sigmaX, sigmaY, angle }: Ellipse): (x: number, y: number) => number {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return (x, y) => ((cos * x + sin * y) / sigmaX) ** 2 + ((cos * y - sin * x) / sigmaY) ** 2;
}

/** Passes what is below `cutoff` radians per pixel in every direction: a jinc. */
export function sincKernel(width: number, cutoff: number): Kernel {
  // Few distances are different.
  const values = new Map<number, number>();
  return kernelOf(width, (x, y) => {
    const square = x * x + y * y;
    const known = values.get(square);
    if (known !== undefined) return known;
    const r = Math.sqrt(square);
    const value =
      square === 0 ? cutoff ** 2 / (4 * Math.PI) : (cutoff * besselJ1(cutoff * r)) / (2 * Math.PI * r);
    values.set(square, value);
    return value;
  });
}

/** Divided by the sum. */
function kernelOf(width: number, value: (x: number, y: number) => number): Kernel {
  const radius = (width - 1) / 2;
  const weights = Float64Array.from({ length: width * width }, (_, i) =>
    value((i % width) - radius, Math.floor(i / width) - radius),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return { width, weights: weights.map((weight) => weight / sum) };
}

/**
 * Bessel's integral, J1(x) = mean of cos(t - x sin t) over half a turn. The integrand is periodic, so the trapezoidal
 * rule converges geometrically once it has more points than x has radians.
 */
export function besselJ1(x: number): number {
  const steps = 32 + Math.ceil(Math.abs(x));
  let sum = 0;
  for (let i = 1; i < steps; i++) {
    const t = (Math.PI * i) / steps;
    sum += Math.cos(t - x * Math.sin(t));
  }
  // At both ends the integrand is 1 and -1, which cancel.
  return sum / steps;
}
