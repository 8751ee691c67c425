// One image between its file and the network: bytes to planes before, planes to bytes after. Runs in the codec's thread.

import { fail } from '../diagnostics.js';
import { type Image, newSamples } from '../formats/image.js';
import type { ImageFormat } from '../formats/image-format.js';
import { type ColourAndAlpha, fromPlanes, toPlanes } from '../formats/pixels.js';
import { imresizeTo } from '../formats/resize.js';
import { decodeImage } from './images/decode.js';
import { encodeImage } from './images/encode.js';

/** What will become of an image; all of it is known before the work begins. */
export interface Target {
  /** For error messages. */
  readonly name: string;
  readonly format: ImageFormat;
  /** Of the result over the input, whatever the network's. */
  readonly scale: number;
}

export interface Decoded extends ColourAndAlpha {
  /** The image without its samples. */
  readonly like: Image;
}

/** The sides that the formats, or their encoders, can express. */
const MAX_SIDE: Readonly<Record<ImageFormat, number>> = {
  png: 2 ** 31 - 1,
  tiff: 2 ** 32 - 1,
  jpeg: 65500,
  webp: 16383,
  avif: 16384,
};

/** Fails also when the result could not be written, before anything is computed. */
export async function decode(name: string, bytes: Uint8Array, target: Target): Promise<Decoded> {
  const image = await decodeImage(name, bytes);
  const like = { ...image, data: newSamples(image.depth, 0) };
  await checkEncodable(like, target);
  return { ...toPlanes(image), like };
}

/** `rgb` may have any size, `alpha` still has that of the input: both are resampled to the target. */
export async function encode({ rgb, alpha, like }: Decoded, target: Target): Promise<Encoded> {
  const { width, height } = sizeOf(like, target);
  const planes = {
    rgb: imresizeTo(rgb, width, height),
    ...(alpha && { alpha: imresizeTo(alpha, width, height) }),
  };
  const bytes = await encodeImage(fromPlanes(planes, like), target.format, { name: target.name });
  return { bytes, width, height };
}

export interface Encoded {
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
}

function sizeOf({ width, height }: Image, { scale }: Target) {
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}

/** Writes one pixel of the kind: what the encoder, or its absence, objects to shows up there. */
async function checkEncodable(like: Image, target: Target): Promise<void> {
  const { name, format } = target;
  const { width, height } = sizeOf(like, target);
  if (Math.max(width, height) > MAX_SIDE[format]) {
    fail(`${name}: the result has ${width}x${height} pixels, ${format} holds ${MAX_SIDE[format]} a side`, {
      help: 'write .png, or use a smaller --scale',
    });
  }
  const data = newSamples(like.depth, like.channels);
  await encodeImage({ ...like, width: 1, height: 1, data }, format, { name });
}

/** What moves between threads without being copied. */
export function buffersOf({ rgb, alpha }: ColourAndAlpha): ArrayBuffer[] {
  return [rgb, alpha].flatMap((planes) =>
    planes?.data.buffer instanceof ArrayBuffer ? planes.data.buffer : [],
  );
}
