// Which image format a file is in: by its first bytes when reading (names lie), by its extension when writing.

import { fail } from '../diagnostics.js';

/** What can be written. */
export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'tiff' | 'avif';

/** What can be read, as people call it. */
export type ContentKind = 'PNG' | 'JPEG' | 'WebP' | 'TIFF' | 'AVIF' | 'HEIC' | 'GIF';

export const FORMAT_NAMES = {
  png: 'PNG',
  jpeg: 'JPEG',
  webp: 'WebP',
  tiff: 'TIFF',
  avif: 'AVIF',
} as const satisfies Readonly<Record<ImageFormat, ContentKind>>;

const FORMAT_OF_EXTENSION: Readonly<Record<string, ImageFormat>> = {
  png: 'png',
  jpg: 'jpeg',
  jpeg: 'jpeg',
  webp: 'webp',
  tif: 'tiff',
  tiff: 'tiff',
  avif: 'avif',
};

/** The format that the extension names; undefined when `path` does not look like an image. */
export function formatOf(path: string): ImageFormat | undefined {
  const extension = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? '';
  return Object.hasOwn(FORMAT_OF_EXTENSION, extension) ? FORMAT_OF_EXTENSION[extension] : undefined;
}

/** The format to write `path` in. */
export function outputFormat(path: string): ImageFormat {
  return (
    formatOf(path) ??
    fail(`${path}: the extension names no image format that can be written`, {
      help: `use one of ${Object.keys(FORMAT_OF_EXTENSION)
        .map((extension) => `.${extension}`)
        .join(', ')}`,
    })
  );
}

/** Where the bytes that give a kind away are, and what they can be. */
const SIGNATURES: readonly (readonly [offset: number, bytes: readonly string[], kind: ContentKind])[] = [
  [0, ['\x89PNG\r\n\x1a\n'], 'PNG'],
  [0, ['\xff\xd8\xff'], 'JPEG'],
  [8, ['WEBP'], 'WebP'],
  [0, ['II*\0', 'II+\0', 'MM\0*', 'MM\0+'], 'TIFF'],
  [4, ['ftypavif', 'ftypavis', 'ftypmif1', 'ftypmsf1'], 'AVIF'],
  [4, ['ftypheic', 'ftypheix', 'ftyphevc', 'ftyphevx'], 'HEIC'],
  [0, ['GIF87a', 'GIF89a'], 'GIF'],
];

/** Undefined for anything that is not a known image. */
export function sniff(bytes: Uint8Array): ContentKind | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 16));
  return SIGNATURES.find(([offset, known]) => known.some((text) => head.startsWith(text, offset)))?.[2];
}
