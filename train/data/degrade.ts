// Real-ESRGAN's second-order degradation (arXiv:2107.10833; realesrgan_model.py and realesrgan_dataset.py): two rounds of
// blur, resizing, noise and JPEG, then a sinc filter. It begins with the sharpened original, as there. The reference draws
// sizes and kinds once per batch and therefore mixes its samples in a pool of 180; here each sample draws its own.

import type { Degradation, DegradationOrder } from '../../dsl/recipe-calls.js';
import type { Image, Planes } from '../../formats/image.js';
import { fromPlanes, toPlanes } from '../../formats/pixels.js';
import type { Random } from '../random.js';
import { randomBlur, randomSinc } from './blur.js';
import { filter2d } from './filter.js';
import { interpolate, MODES } from './interpolate.js';
import { jpeg } from './jpeg.js';
import { addGaussian, addPoisson } from './noise.js';
import type { Size } from './rgb.js';
import { sharpen } from './usm.js';

export type SecondOrder = Extract<Degradation, { kind: 'realesrgan' }>;

/** The input for an 8-bit RGB original whose sides are multiples of the factor; rounded to 8 bits. */
export function degrade(original: Image, degradation: SecondOrder, random: Random): Image {
  const { factor, first, second, finalSinc } = degradation;
  const target = { width: original.width / factor, height: original.height / factor };

  let image = sharpen(toPlanes(original).rgb);
  image = blur(image, first, random);
  const once = randomScale(first, random);
  image = resize(image, scaled(image, once), random, 1 / once);
  image = compress(addNoise(image, first, random), first, random);

  image = blur(image, second, random);
  image = resize(image, scaled(target, randomScale(second, random)), random);
  image = addNoise(image, second, random);

  const finish = (planes: Planes) => {
    const right = resize(planes, target, random);
    return random.chance(finalSinc) ? filter2d(right, randomSinc(second, random)) : right;
  };
  image = random.chance(0.5)
    ? compress(finish(image), second, random)
    : finish(compress(image, second, random));
  return fromPlanes({ rgb: image }, original);
}

function blur(image: Planes, order: DegradationOrder, random: Random): Planes {
  return random.chance(order.blur) ? filter2d(image, randomBlur(order, random)) : image;
}

function randomScale({ enlarge, reduce, resize: [low, high] }: DegradationOrder, random: Random): number {
  const kind = random.weighted([enlarge, reduce, 1 - enlarge - reduce]);
  if (kind === 2) return 1;
  return kind === 0 ? random.uniform(1, high) : random.uniform(low, 1);
}

function scaled({ width, height }: Size, scale: number): Size {
  const side = (size: number) => Math.max(1, Math.floor(size * scale));
  return { width: side(width), height: side(height) };
}

/** `step`, when it is not the ratio of the sizes, as PyTorch uses scale factors. */
function resize(image: Planes, size: Size, random: Random, step?: number): Planes {
  return interpolate(image, size, MODES[random.below(MODES.length)]!, step);
}

function addNoise(image: Planes, order: DegradationOrder, random: Random): Planes {
  if (random.chance(order.gaussian)) {
    const sigma = random.uniform(...order.noise);
    return addGaussian(image, sigma, random.chance(order.gray), random);
  }
  const factor = random.uniform(...order.poisson);
  return addPoisson(image, factor, random.chance(order.gray), random);
}

function compress(image: Planes, { jpeg: quality }: DegradationOrder, random: Random): Planes {
  const clamped = image.data.map((value) => Math.min(Math.max(value, 0), 1));
  return jpeg({ ...image, data: clamped }, random.uniform(...quality));
}
