// Padding for networks that fold pixels into channels (pixel unshuffle): right and bottom are reflected up to a multiple,
// and what comes of them is cropped away afterwards.

import type { Planes } from './image.js';

/** Reflects without repeating the edge; an image smaller than its padding is reflected to and fro. */
export function padToMultiple(planes: Planes, multiple: number): Planes {
  const { channels, width: inWidth, height: inHeight, data } = planes;
  const width = Math.ceil(inWidth / multiple) * multiple;
  const height = Math.ceil(inHeight / multiple) * multiple;
  if (width === inWidth && height === inHeight) return planes;
  const out = new Float32Array(channels * height * width);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * inHeight + reflect(y, inHeight)) * inWidth;
      const to = (c * height + y) * width;
      out.set(data.subarray(from, from + inWidth), to);
      for (let x = inWidth; x < width; x++) out[to + x] = data[from + reflect(x, inWidth)]!;
    }
  }
  return { channels, height, width, data: out };
}

/** The top left `width` x `height` pixels. */
export function crop(planes: Planes, width: number, height: number): Planes {
  const { channels, width: inWidth, height: inHeight, data } = planes;
  if (width === inWidth && height === inHeight) return planes;
  const out = new Float32Array(channels * height * width);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * inHeight + y) * inWidth;
      out.set(data.subarray(from, from + width), (c * height + y) * width);
    }
  }
  return { channels, height, width, data: out };
}

/** 0 1 2 | 1 0 1 … */
function reflect(i: number, size: number): number {
  if (size === 1) return 0;
  const j = i % (2 * size - 2);
  return j < size ? j : 2 * size - 2 - j;
}
