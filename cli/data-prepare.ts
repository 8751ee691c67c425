// One original on its way to a data set: the pictures made of it, their reduced versions, and their files' bytes. What
// will be made is known from its size alone; the making runs in a thread.

import type { Degradation } from '../dsl/recipe-calls.js';
import type { Image } from '../formats/image.js';
import { fromPlanes, toPlanes } from '../formats/pixels.js';
import { imresizeTo } from '../formats/resize.js';
import { degrade } from '../train/data/degrade.js';
import { type Area, crop, cropToMultiple, rgb8, type Size, shrink } from '../train/data/rgb.js';
import { copySizes, type Grid, subImages } from '../train/data/subimages.js';
import { randomFor } from '../train/random.js';
import { readBytes } from './files.js';
import { decodeImage } from './images/decode.js';
import { encodePng } from './images/png.js';

/** All that the result depends on, besides the originals. */
export interface PrepareSettings {
  /** Its factor is the scale. */
  readonly degrade: Degradation;
  readonly seed: number;
  readonly grid?: Grid;
  /** Adds smaller copies. */
  readonly multiscale: boolean;
}

/** An original and what is made of it. */
export interface PrepareJob {
  readonly input: string;
  readonly parts: readonly Part[];
}

/** One picture of the data set: an area of the original, or of a copy of it. */
export interface Part {
  /** Of its files, relative to their folders: `birds/owl_s012.png`. */
  readonly name: string;
  readonly copy: Size;
  readonly area: Area;
}

export interface PreparedPart {
  readonly name: string;
  readonly hr: Uint8Array;
  readonly lr: Uint8Array;
}

/** `stem` is the original's path below its folder, without extension. */
export function partsOf(stem: string, size: Size, { degrade, grid, multiscale }: PrepareSettings): Part[] {
  const { factor } = degrade;
  const copies = [size, ...(multiscale ? copySizes(size) : [])];
  return copies.flatMap((copy, c) => {
    const name = c === 0 ? stem : `${stem}T${c - 1}`;
    const whole = { width: copy.width - (copy.width % factor), height: copy.height - (copy.height % factor) };
    if (whole.width === 0 || whole.height === 0) return [];
    if (!grid) return [{ name: `${name}.png`, copy, area: { x: 0, y: 0, ...whole } }];
    return subImages(whole, grid).map((area, i) => ({
      name: `${name}_s${String(i + 1).padStart(3, '0')}.png`,
      copy,
      area,
    }));
  });
}

export async function prepareImage(
  { input, parts }: PrepareJob,
  settings: PrepareSettings,
): Promise<PreparedPart[]> {
  const original = rgb8(await decodeImage(input, await readBytes(input)));
  const prepared: PreparedPart[] = [];
  let made: { readonly copy: Size; readonly pair: PairOf } | undefined;
  for (const { name, copy, area } of parts) {
    if (made?.copy !== copy) made = { copy, pair: pairsOf(resized(original, copy), settings) };
    const { hr, lr } = made.pair(name, area);
    prepared.push({ name, hr: encodePng(hr), lr: encodePng(lr) });
  }
  return prepared;
}

type PairOf = (name: string, area: Area) => { readonly hr: Image; readonly lr: Image };

function pairsOf(image: Image, { degrade: degradation, seed }: PrepareSettings): PairOf {
  const { factor } = degradation;
  if (degradation.kind === 'realesrgan') {
    return (name, area) => {
      const hr = crop(image, area);
      return { hr, lr: degrade(hr, degradation, randomFor(seed, 'prepare', name)) };
    };
  }
  // The whole picture is reduced once: what training makes of it, and what sub-images of DIV2K are cut from.
  const reduced = shrink(cropToMultiple(image, factor), factor);
  return (_, { x, y, width, height }) => ({
    hr: crop(image, { x, y, width, height }),
    lr: crop(reduced, { x: x / factor, y: y / factor, width: width / factor, height: height / factor }),
  });
}

/** Antialiased bicubic, where the reference has Lanczos. */
function resized(image: Image, { width, height }: Size): Image {
  if (image.width === width && image.height === height) return image;
  return fromPlanes({ rgb: imresizeTo(toPlanes(image).rgb, width, height) }, image);
}
