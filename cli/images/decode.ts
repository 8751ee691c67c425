// Image files to images. Bytes decide the format, not the file's name: PNG goes to pngjs, everything else to sharp.

import { fail } from '../../diagnostics.js';
import type { Image } from '../../formats/image.js';
import { type ContentKind, sniff } from '../../formats/image-format.js';
import { decodePng } from './png.js';
import { decodeWithSharp } from './sharp.js';

/** The upright image in `bytes`; `name` is for error messages. */
export async function decodeImage(name: string, bytes: Uint8Array): Promise<Image> {
  const kind = contentOf(name, bytes);
  return kind === 'PNG' ? decodePng(name, bytes) : decodeWithSharp(name, kind, bytes);
}

/** Refuses what is no image. */
export function contentOf(name: string, bytes: Uint8Array): ContentKind {
  if (bytes.length === 0) {
    fail(`${name}: the file is empty`, { help: 'download or copy the file again' });
  }
  return (
    sniff(bytes) ??
    fail(`${name}: this is not an image that can be read`, {
      help: 'convert it to PNG; JPEG, WebP, TIFF, AVIF and still GIF can be read, too',
    })
  );
}
