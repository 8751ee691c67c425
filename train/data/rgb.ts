// Pictures as training sees them: RGB with 8 bits per sample, whatever the file held. Gray becomes three equal channels,
// 16 bits are rounded to the 8 that results are judged in, transparency is left out and colours are taken as stored.

import { type Image, isGray, to8Bit } from '../../formats/image.js';
import { fromPlanes, toPlanes } from '../../formats/pixels.js';
import { imresizeTo } from '../../formats/resize.js';
import { reflect } from './filter.js';

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Area extends Size {
  readonly x: number;
  readonly y: number;
}

export function rgb8(image: Image): Image {
  const { width, height, channels, data } = to8Bit(image);
  const step = isGray(channels) ? 0 : 1;
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0, from = 0; i < rgb.length; i += 3, from += channels) {
    for (let c = 0; c < 3; c++) rgb[i + c] = data[from + c * step]!;
  }
  return { width, height, channels: 3, depth: 8, data: rgb };
}

/** Of an 8-bit RGB image. */
export function crop(image: Image, { x, y, width, height }: Area): Image {
  const data = new Uint8Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    const from = 3 * ((y + row) * image.width + x);
    data.set(image.data.subarray(from, from + 3 * width), 3 * row * width);
  }
  return { ...image, width, height, data };
}

/** The upper left part whose sides are multiples of `scale`. */
export function cropToMultiple(image: Image, scale: number): Image {
  const width = image.width - (image.width % scale);
  const height = image.height - (image.height % scale);
  return width === image.width && height === image.height
    ? image
    : crop(image, { x: 0, y: 0, width, height });
}

/** At least as wide and high as `size`: mirrored at the right and at the bottom, the edge pixel not repeated. */
export function padTo(image: Image, size: Size): Image {
  const width = Math.max(image.width, size.width);
  const height = Math.max(image.height, size.height);
  if (width === image.width && height === image.height) return image;
  const data = new Uint8Array(3 * width * height);
  for (let y = 0, to = 0; y < height; y++) {
    const row = reflect(y, image.height) * image.width;
    for (let x = 0; x < width; x++) {
      const from = 3 * (row + reflect(x, image.width));
      for (let c = 0; c < 3; c++) data[to++] = image.data[from + c]!;
    }
  }
  return { ...image, width, height, data };
}

/** MATLAB's bicubic reduction of a whole image whose sides are multiples of `scale`, rounded to 8 bits. */
export function shrink(hr: Image, scale: number): Image {
  const rgb = imresizeTo(toPlanes(hr).rgb, hr.width / scale, hr.height / scale);
  return fromPlanes({ rgb }, hr);
}
