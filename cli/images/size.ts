// How large an image is, without unpacking its pixels.

import { readPngHeader } from '../../formats/png-header.js';
import { readPngMeta } from '../../formats/png-meta.js';
import { contentOf } from './decode.js';
import { sizeWithSharp } from './sharp.js';

/** Of the upright image in `bytes`; `name` is for error messages. A PNG's container is checked all through. */
export async function imageSize(name: string, bytes: Uint8Array) {
  const kind = contentOf(name, bytes);
  if (kind !== 'PNG') return sizeWithSharp(name, kind, bytes);
  const { width, height, chunks } = readPngHeader(name, bytes);
  const { orientation } = readPngMeta(name, chunks);
  return orientation >= 5 && orientation <= 8 ? { width: height, height: width } : { width, height };
}
