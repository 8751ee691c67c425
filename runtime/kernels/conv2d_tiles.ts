// How the subgroup convolution divides its work: small images share a tile, so that no lane is idle, and the tile is the
// one that does the least work. Decided by the sizes; where they are symbols, for a large image.

import type { Dim } from '../dims.js';
import type { ConvTile } from './conv2d.js';
import { inputStep, type SubgroupForm } from './conv2d_frame.js';
import { groupsOf, range } from './text.js';

/** Pixels by taps by output groups of a pass, at 16 multiply-adds each: text that compiles in about a second. */
const PRODUCTS = 32;
const MAX_PIXELS = 8;
const MAX_GROUPS = 8;
/** Up to so many output groups, taps are unrolled and share what costs most: the loads of the input. */
const FEW_GROUPS = 2;
const LARGE = 4096;

export interface Arrangement {
  readonly tile: Required<ConvTile>;
  /** Taps of a kernel row in one pass. Not a matter of the tile, so that the order of the sums is none either. */
  readonly unrolled: number;
}

export function arrange(form: SubgroupForm): Arrangement {
  const { y, kernel, phases, transposed, subgroupSize: lanes } = form;
  const outputGroups = groupsOf(y.channels);
  const few = outputGroups <= FEW_GROUPS && !transposed;
  const unrolled = few ? ([4, 3, 2, 1].find((taps) => kernel[1] % taps === 0) as number) : 1;
  if (form.tile) return { tile: { images: 1, ...form.tile }, unrolled };
  const groups = Math.ceil(outputGroups / Math.ceil(outputGroups / MAX_GROUPS));
  const side = Math.sqrt(phases);
  const images = sizeOf(y.dims[0], 1);
  const [rows, columns] = [y.dims[1], y.dims[2]].map((dim) => Math.ceil(sizeOf(dim, LARGE) / side)) as [
    number,
    number,
  ];
  const most = Math.min(MAX_PIXELS, 2 ** Math.round(Math.log2(PRODUCTS / (groups * unrolled))));
  const needed = 2 ** Math.ceil(Math.log2(Math.max(1, (images * rows * columns) / lanes)));
  const pixels = Math.min(most, needed);
  const work = (tile: Shape): number =>
    Math.ceil(images / tile.images) *
    Math.ceil(rows / tile.height) *
    Math.ceil(columns / tile.width) *
    tapsMet(form, 0, tile.height) *
    tapsMet(form, 1, tile.width);
  const shapes = shapesOf(pixels * lanes).filter(({ width }) => unrolled === 1 || width >= pixels);
  const best = shapes.reduce((least, shape) => (work(shape) < work(least) ? shape : least));
  return { tile: { ...best, groups }, unrolled };
}

/** How many taps of an axis find any input for a tile of `extent` outputs of a phase: a tile skips the others. */
function tapsMet(form: SubgroupForm, axis: 0 | 1, extent: number): number {
  const { x, kernel, stride, transposed } = form;
  const taps = transposed ? Math.ceil(kernel[axis] / stride) : kernel[axis];
  return Math.min(taps, sizeOf(x.dims[axis + 1]!, LARGE) + (extent - 1) * inputStep(form));
}

function sizeOf(dim: Dim, symbolic: number): number {
  return typeof dim === 'number' ? dim : symbolic;
}

type Shape = Pick<Required<ConvTile>, 'width' | 'height' | 'images'>;

/** Powers of two with the product `pixels`; first those 8 wide, then the widest. */
function shapesOf(pixels: number): Shape[] {
  const powers = range(Math.log2(pixels) + 1)
    .map((k) => 2 ** k)
    .toReversed();
  const widths = [8, ...powers].filter((width) => width <= pixels);
  return widths.flatMap((width) =>
    powers
      .filter((height) => width * height <= pixels)
      .map((height) => ({ width, height, images: pixels / (width * height) })),
  );
}
