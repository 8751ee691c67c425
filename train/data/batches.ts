// Batches out of pictures. Sample s of a stage, and with it batch k, is a function of the pictures, the seed, the stage
// and its number: nothing is carried from one to the next but pictures that are loaded already.

import type { Degradation } from '../../dsl/recipe-calls.js';
import { orient } from '../../formats/exif.js';
import type { Image, Planes } from '../../formats/image.js';
import { toPlanes } from '../../formats/pixels.js';
import type { BatchSource } from '../batch.js';
import { type Random, randomFor } from '../random.js';
import { cached } from './cache.js';
import { degrade, type SecondOrder } from './degrade.js';
import { checkLoaded, checkPair, type ImageSource } from './images.js';
import { sampleOrder } from './order.js';
import { crop, cropToMultiple, padTo, rgb8, type Size, shrink } from './rgb.js';
import { sharpen } from './usm.js';

export interface BatchOptions {
  readonly seed: number;
  readonly stage: string;
  /** Samples of a batch. */
  readonly batch: number;
  /** Side of the originals' patches, a multiple of the degradation's factor. */
  readonly patch: number;
  readonly augment: readonly ('flip' | 'rot90')[];
  /** Where reduced images are given, only its factor counts. */
  readonly degrade: Degradation;
  /** Whether the loss asks for sharpened originals. */
  readonly usm: boolean;
  /** Of memory for pictures. */
  readonly cacheBytes: number;
}

/** A patch of an original, and the network's input for it; 8-bit RGB. */
interface Pair {
  readonly hr: Image;
  readonly lr: Image;
}

/** The orientation is one of EXIF's eight. */
type MakePair = (image: number, orientation: number, random: Random) => Promise<Pair>;

/** Every image is at least as large as a patch (see `largeEnough`). */
export function batchSource(source: ImageSource, options: BatchOptions): BatchSource {
  const { seed, stage, batch, patch, augment, usm } = options;
  const imageOf = sampleOrder(source.images, patch, seed, stage);
  const make = pairMaker(source, options);
  const sample = (number: number) => {
    const random = randomFor(seed, 'sample', stage, number);
    return make(imageOf(number), randomOrientation(augment, random), random);
  };
  return {
    async batch(k) {
      const numbers = Array.from({ length: batch }, (_, i) => k * batch + i);
      const pairs = await Promise.all(numbers.map(sample));
      const hr = pairs.map((pair) => toPlanes(pair.hr).rgb);
      return {
        lr: pack(pairs.map((pair) => toPlanes(pair.lr).rgb)),
        hr: pack(hr),
        // Each patch by itself, as Real-ESRGAN does once its patches have left their pool.
        ...(usm && { usm: pack(hr.map(sharpen)) }),
      };
    },
  };
}

function pairMaker(source: ImageSource, options: BatchOptions): MakePair {
  const { degrade: degradation } = options;
  return source.loadReduced || degradation.kind === 'bicubic'
    ? alignedPairs(source, options)
    : degradedPairs(source, degradation, options);
}

/** The same place in an original and in its reduced image, which was made of the whole original. */
function alignedPairs(
  source: ImageSource,
  { degrade: { factor }, patch, cacheBytes }: BatchOptions,
): MakePair {
  const load = cached(
    async (index): Promise<Pair> => {
      const full = await loadRgb(source, index);
      if (!source.loadReduced) {
        const hr = cropToMultiple(full, factor);
        return { hr, lr: shrink(hr, factor) };
      }
      const original = source.images[index]!;
      const lr = rgb8(await source.loadReduced(index));
      checkPair(original, { ...lr, name: `the reduced version of ${original.name}` }, factor);
      return { hr: crop(full, { x: 0, y: 0, width: lr.width * factor, height: lr.height * factor }), lr };
    },
    ({ hr, lr }) => hr.data.length + lr.data.length,
    cacheBytes,
  );
  return async (index, orientation, random) => {
    const pair = cutPair(await load(index), factor, patch, random);
    return { hr: orient(pair.hr, orientation), lr: orient(pair.lr, orientation) };
  };
}

/** Around a patch, so that what happens at the borders is seen now and then, not always: 400 for a patch of 256. */
const MARGIN = 144;

/** A larger window is degraded, and a patch cut out of it. */
function degradedPairs(source: ImageSource, degradation: SecondOrder, options: BatchOptions): MakePair {
  const { patch, cacheBytes } = options;
  const { factor } = degradation;
  const side = patch + Math.ceil(MARGIN / factor) * factor;
  const window = { width: side, height: side };
  const load = cached(
    async (index) => padTo(await loadRgb(source, index), window),
    ({ data }) => data.length,
    cacheBytes,
  );
  return async (index, orientation, random) => {
    const full = await load(index);
    const hr = orient(crop(full, { ...randomPlace(full, side, random), ...window }), orientation);
    return cutPair({ hr, lr: degrade(hr, degradation, random) }, factor, patch, random);
  };
}

/** A patch of both at the same random place. */
function cutPair({ hr, lr }: Pair, factor: number, patch: number, random: Random): Pair {
  const side = patch / factor;
  const { x, y } = randomPlace(lr, side, random);
  return {
    hr: crop(hr, { x: x * factor, y: y * factor, width: patch, height: patch }),
    lr: crop(lr, { x, y, width: side, height: side }),
  };
}

async function loadRgb(source: ImageSource, index: number): Promise<Image> {
  const image = await source.load(index);
  checkLoaded(source.images[index]!, image);
  return rgb8(image);
}

function randomPlace({ width, height }: Size, side: number, random: Random): { x: number; y: number } {
  return { x: random.below(width - side + 1), y: random.below(height - side + 1) };
}

/** EXIF's numbers for mirrored left to right, mirrored top to bottom, transposed after that. */
const ORIENTATIONS = [
  [
    [1, 5],
    [4, 6],
  ],
  [
    [2, 8],
    [3, 7],
  ],
] as const;

/** Each with probability 1/2, as in BasicSR: `flip` mirrors left to right, `rot90` mirrors top to bottom and transposes. */
function randomOrientation(augment: BatchOptions['augment'], random: Random): number {
  const coin = (allowed: boolean) => (allowed && random.chance(0.5) ? 1 : 0);
  const flip = augment.includes('flip');
  const turn = augment.includes('rot90');
  return ORIENTATIONS[coin(flip)][coin(turn)][coin(turn)];
}

/** Planes of one size, as the device has them. */
function pack(samples: readonly Planes[]): Float32Array<ArrayBuffer> {
  const area = samples[0]!.width * samples[0]!.height;
  const out = new Float32Array(samples.length * area * 4);
  samples.forEach(({ data }, s) => {
    for (let i = 0, to = s * area * 4; i < area; i++, to += 4) {
      out[to] = data[i]!;
      out[to + 1] = data[area + i]!;
      out[to + 2] = data[2 * area + i]!;
    }
  });
  return out;
}
