// How a data set is cut up and multiplied before training, so that files are small and quick to load.

import type { Area, Size } from './rgb.js';

/** Overlapping squares in pixels of the original. */
export interface Grid {
  readonly side: number;
  readonly step: number;
}

/**
 * The sub-images of an image, row by row, by BasicSR's rule (extract_subimages.py, threshold 0): steps from the upper
 * left, and one more at the end of each side where something is left. None of an image that is smaller.
 */
export function subImages({ width, height }: Size, { side, step }: Grid): Area[] {
  return starts(height, side, step).flatMap((y) =>
    starts(width, side, step).map((x) => ({ x, y, width: side, height: side })),
  );
}

function starts(size: number, side: number, step: number): number[] {
  if (size < side) return [];
  const regular = Array.from({ length: Math.floor((size - side) / step) + 1 }, (_, i) => i * step);
  return regular.at(-1)! + side < size ? [...regular, size - side] : regular;
}

/** Factors of Real-ESRGAN's smaller copies (generate_multiscale_DF2K.py), and the shorter side of the smallest. */
const FACTORS = [3 / 4, 1 / 2, 1 / 3];
const SHORTEST = 400;

/** The sizes of an image's smaller copies. */
export function copySizes({ width, height }: Size): Size[] {
  const shorter = Math.min(width, height);
  const factors = shorter > SHORTEST ? [...FACTORS, SHORTEST / shorter] : FACTORS;
  return factors.map((factor) => ({
    width: Math.floor(width * factor + 1e-9),
    height: Math.floor(height * factor + 1e-9),
  }));
}
