// What an image is here. `Image` is what files hold: interleaved samples with everything that must survive the trip
// (bit depth, gray, alpha, colour profile, physical size). `Planes` is what networks and resampling work on.

import { fail } from '../diagnostics.js';
import type { PngChunk } from './png-chunks.js';

/** 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA. */
export type Channels = 1 | 2 | 3 | 4;

export type Samples = Uint8Array | Uint16Array;

export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: Channels;
  /** Bits per sample; `data` is a Uint8Array or a Uint16Array (native byte order) to match. */
  readonly depth: 8 | 16;
  /** Row by row, interleaved, alpha not premultiplied. */
  readonly data: Samples;
  /** The colour profile the samples are in, uncompressed. Without one: sRGB, unless `colourChunks` differ. */
  readonly icc?: Uint8Array;
  readonly density?: Density;
  /** Chunks of a PNG other than iCCP that say what its samples mean (gAMA, cHRM, sRGB, cICP, …), verbatim. */
  readonly colourChunks?: readonly PngChunk[];
}

/** Pixels per metre along x and y, or, when the physical size is unknown, their ratio ("aspect"). */
export interface Density {
  readonly x: number;
  readonly y: number;
  readonly unit: 'metre' | 'aspect';
}

/** Planar samples, channel by channel (CHW); 0 is black and 1 is white, values beyond are kept. */
export interface Planes {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

/** Decoders refuse more pixels than this (16384 x 16384) from the header alone, before memory is allocated. */
export const MAX_PIXELS = 2 ** 28;

/** Refuses a size that no image has or that no machine decodes. */
export function checkSize(name: string, width: number, height: number): void {
  if (width < 1 || height < 1) {
    fail(`${name}: the image is empty: its header says ${width}x${height} pixels`, {
      help: 'export the image again',
    });
  }
  if (width * height > MAX_PIXELS) {
    fail(`${name}: the header says ${width}x${height} pixels, more than this program decodes`, {
      notes: [`the limit is ${MAX_PIXELS} pixels, for example 16384x16384`],
      help: 'crop the image into parts, or check that the file is what it claims to be',
    });
  }
}

export function hasAlpha(channels: Channels): boolean {
  return channels === 2 || channels === 4;
}

export function isGray(channels: Channels): boolean {
  return channels <= 2;
}

export function newSamples(depth: 8 | 16, length: number): Samples {
  return depth === 8 ? new Uint8Array(length) : new Uint16Array(length);
}

/** An image of another size with the properties of `source` and the same physical size: density grows with it. */
export function blankLike(source: Image, width: number, height: number): Image {
  const { density } = source;
  return {
    ...source,
    width,
    height,
    data: newSamples(source.depth, width * height * source.channels),
    ...(density && { density: scaleDensity(density, width / source.width, height / source.height) }),
  };
}

function scaleDensity(density: Density, scaleX: number, scaleY: number): Density {
  return density.unit === 'aspect' ? density : { ...density, x: density.x * scaleX, y: density.y * scaleY };
}

/** The nearest 8-bit image (65535 = 257 * 255). */
export function to8Bit(image: Image): Image {
  if (image.depth === 8) return image;
  return { ...image, depth: 8, data: Uint8Array.from(image.data, (sample) => Math.round(sample / 257)) };
}
