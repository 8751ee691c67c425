// Where training pictures come from: files in Node, anything else in a browser. Sizes are known before any picture is
// loaded, so that what cannot be trained on is told at the start.

import { fail } from '../../diagnostics.js';
import type { Image } from '../../formats/image.js';
import type { Size } from './rgb.js';

export interface SourceImage extends Size {
  /** For error messages. */
  readonly name: string;
}

export interface ImageSource {
  readonly images: readonly SourceImage[];
  load(index: number): Promise<Image>;
  /** Present: reduced images are given, not made. The original is cropped to `scale` times the size of its own. */
  loadReduced?(index: number): Promise<Image>;
}

/** This many names are shown of what may be thousands. */
const NAMES = 8;

/** The images that a patch fits into; a note when there are others. */
export function largeEnough<T extends SourceImage>(
  images: readonly T[],
  patch: number,
): { readonly images: readonly T[]; readonly note?: string } {
  const fits = ({ width, height }: Size) => Math.min(width, height) >= patch;
  const large = images.filter(fits);
  const small = images.filter((image) => !fits(image));
  if (small.length === 0) return { images };
  const sizes = listNames(small.map(({ name, width, height }) => `${name} (${width}x${height})`));
  if (large.length === 0) {
    const which = images.length === 1 ? 'the only image is' : `all ${images.length} images are`;
    fail(`${which} smaller than a patch of ${patch}x${patch}`, {
      notes: [sizes],
      help: 'write a smaller `patch` in the recipe, or use larger images',
    });
  }
  const counted = small.length === 1 ? '1 image is' : `${small.length} images are`;
  return {
    images: large,
    note: `${counted} left out, smaller than a patch of ${patch}x${patch}: ${sizes}`,
  };
}

/** `a.png, b.png and 3 more` */
export function listNames(names: readonly string[]): string {
  const more = names.length - NAMES;
  return names.slice(0, NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Refuses what is not as its header said. */
export function checkLoaded({ name, width, height }: SourceImage, image: Size): void {
  if (image.width === width && image.height === height) return;
  fail(`${name}: the image has ${image.width}x${image.height} pixels, it had ${width}x${height} before`, {
    help: 'leave the data alone while it is trained on, and start again',
  });
}

/** Refuses a reduced image that is not 1/scale of its original, the last incomplete row and column left out. */
export function checkPair({ name, width, height }: SourceImage, reduced: SourceImage, scale: number): void {
  const fitting = { width: Math.floor(width / scale), height: Math.floor(height / scale) };
  if (reduced.width === fitting.width && reduced.height === fitting.height) return;
  fail(`${reduced.name}: this is not 1/${scale} of its original`, {
    notes: [
      `it has ${reduced.width}x${reduced.height} pixels; ${name} has ${width}x${height}, 1/${scale} of that is ` +
        `${fitting.width}x${fitting.height}`,
    ],
    help: 'make it again from its original (`src prepare` does), or choose another --data-lr',
  });
}
