// Images to image files. 16 bit stays in PNG and TIFF (AVIF keeps 12, JPEG and WebP 8); alpha has no place in JPEG.

import type { Image } from '../../formats/image.js';
import type { ImageFormat } from '../../formats/image-format.js';
import { encodePng } from './png.js';
import { encodeWithSharp } from './sharp.js';

export interface EncodeOptions {
  /** For error messages. */
  readonly name?: string;
  /** 1 to 100, for JPEG, WebP and AVIF. */
  readonly quality?: number;
}

export async function encodeImage(
  image: Image,
  format: ImageFormat,
  { name = 'the output', quality = 95 }: EncodeOptions = {},
): Promise<Uint8Array> {
  return format === 'png' ? encodePng(image) : encodeWithSharp(name, image, format, quality);
}
