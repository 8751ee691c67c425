// JPEG, WebP, TIFF, AVIF and GIF through sharp, which is optional: it is loaded when such a file turns up. Samples are
// taken as they are, with their profile beside them; only CMYK and other exotic spaces are converted, to sRGB.

import type { Metadata } from 'sharp';
import { fail } from '../../diagnostics.js';
import { orient, readExif } from '../../formats/exif.js';
import {
  type Channels,
  checkSize,
  type Density,
  hasAlpha,
  type Image,
  isGray,
  MAX_PIXELS,
  type Samples,
  to8Bit,
} from '../../formats/image.js';
import { type ContentKind, FORMAT_NAMES, type ImageFormat } from '../../formats/image-format.js';
import { encodePng } from './png.js';
import { pickChannels } from './samples.js';

/** What libvips calls the layouts that need no conversion. */
const NATIVE_SPACES: readonly (string | undefined)[] = ['srgb', 'b-w', 'rgb16', 'grey16'];

const METRES_PER_INCH = 0.0254;

/** `task` is what cannot be done without it: "reading JPEG". */
async function loadSharp(
  name: string,
  task: string,
  instead = 'PNG',
): Promise<typeof import('sharp').default> {
  try {
    return (await import('sharp')).default;
  } catch (error) {
    fail(`${name}: ${task} needs the optional package "sharp", which cannot be loaded`, {
      notes: [reason(error)],
      help: `run \`npm install sharp\`, or use ${instead}`,
    });
  }
}

export async function decodeWithSharp(name: string, kind: ContentKind, bytes: Uint8Array): Promise<Image> {
  const { sharp, meta, refuse } = await inspect(name, kind, bytes);
  const native = NATIVE_SPACES.includes(meta.space);
  const gray = meta.space === 'b-w' || meta.space === 'grey16';
  const wide = meta.depth === 'ushort';
  // Raw output in 8-bit gray ("b-w") would drop alpha; in sRGB, gray is three equal channels.
  const { data, info } = await sharp(bytes, {
    limitInputPixels: MAX_PIXELS,
    failOn: 'error',
    ignoreIcc: native,
  })
    .toColourspace(wide ? (gray ? 'grey16' : 'rgb16') : 'srgb')
    .raw({ depth: wide ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch(refuse);
  const samples = wide ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2) : data;
  if (wide && (kind === 'AVIF' || kind === 'HEIC')) widen(samples, meta.bitsPerSample ?? 16);
  const alpha = hasAlpha(info.channels) ? [info.channels - 1] : [];
  const wanted = gray ? [0, ...alpha] : [0, 1, 2, ...alpha];
  const density = readDensity(kind, meta, bytes);
  const image: Image = {
    width: info.width,
    height: info.height,
    channels: wanted.length as Channels,
    depth: wide ? 16 : 8,
    data: pickChannels(samples, info.channels, wanted),
    ...(native && meta.icc && { icc: meta.icc }),
    ...(density && { density }),
  };
  return orient(image, meta.orientation ?? 1);
}

/** Of the upright image, from the header alone. */
export async function sizeWithSharp(name: string, kind: ContentKind, bytes: Uint8Array) {
  const { width, height, orientation = 1 } = (await inspect(name, kind, bytes)).meta;
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}

/** What the header says, when it is readable; `refuse` words what is found out later. */
async function inspect(name: string, kind: ContentKind, bytes: Uint8Array) {
  const sharp = await loadSharp(name, `reading ${kind}`);
  const refuse = (error: unknown): never => {
    if (kind === 'HEIC') {
      fail(`${name}: this HEIC photo cannot be read: sharp usually comes without its patented codec`, {
        notes: [reason(error)],
        help: 'export it as JPEG, PNG or TIFF',
      });
    }
    fail(`${name}: the ${kind} is truncated, broken or of an unsupported variety`, {
      notes: [reason(error)],
      help: 'download the file again, or save it again as PNG',
    });
  };
  // The size is judged below, with our words; nothing is decoded before that.
  const meta = await sharp(bytes, { limitInputPixels: false }).metadata().catch(refuse);
  checkReadable(name, kind, meta);
  return { sharp, meta, refuse };
}

function checkReadable(name: string, kind: ContentKind, meta: Metadata): void {
  const { width, height, pages = 1, space, depth, channels } = meta;
  checkSize(name, width, height);
  if (pages > 1) {
    fail(`${name}: this ${kind} holds ${pages} pages or frames; only single images can be read`, {
      help: 'extract them as single files and pass their folder',
    });
  }
  const native = NATIVE_SPACES.includes(space);
  if ((depth !== 'uchar' && !(depth === 'ushort' && native)) || (native && channels > 4)) {
    fail(`${name}: ${kind} with ${channels} ${depth} channels in the colour space ${space} cannot be read`, {
      help: 'convert it to RGB or gray with 8 or 16 bits per channel',
    });
  }
}

/** libvips shifts samples of 10 or 12 bits up and leaves the low bits empty: white would not be white. */
function widen(samples: Samples, bits: number): void {
  const white = 2 ** bits - 1;
  for (let i = 0; i < samples.length; i++)
    samples[i] = Math.round(((samples[i]! >> (16 - bits)) / white) * 65535);
}

/** EXIF and TIFF give fractions; JFIF whole dots per inch, the same along both sides as far as sharp tells. */
function readDensity(kind: ContentKind, { exif, density }: Metadata, bytes: Uint8Array): Density | undefined {
  // TIFF cannot leave its density out; sharp says none where libvips wrote its 1 pixel per mm for "unknown".
  if (kind === 'TIFF') return density ? readExif(bytes)?.density : undefined;
  const exact = exif && readExif(exif)?.density;
  if (exact || kind !== 'JPEG' || !density) return exact;
  return { x: density / METRES_PER_INCH, y: density / METRES_PER_INCH, unit: 'metre' };
}

/** sharp takes a profile only from a file it reads, so it is handed an uncompressed PNG that carries it all. */
export async function encodeWithSharp(
  name: string,
  image: Image,
  format: Exclude<ImageFormat, 'png'>,
  quality: number,
): Promise<Uint8Array> {
  const sharp = await loadSharp(name, `writing ${FORMAT_NAMES[format]}`);
  if (format === 'jpeg' && hasAlpha(image.channels)) {
    fail(`${name}: the image has transparency, which JPEG cannot hold`, { help: 'write .png or .webp' });
  }
  const gray = isGray(image.channels);
  const grayFormat = format === 'jpeg' || format === 'tiff';
  const source = format === 'tiff' || (format === 'avif' && !gray) ? image : to8Bit(image);
  const wide = source.depth === 16;
  const { x = 0, y = 0, unit } = source.density ?? {};

  let pipeline = sharp(encodePng(source, true), { limitInputPixels: false }).toColourspace(
    gray && grayFormat ? (wide ? 'grey16' : 'b-w') : wide ? 'rgb16' : 'srgb',
  );
  // A profile for gray makes no sense on RGB: there, without this, sharp converts to sRGB.
  if (grayFormat || !gray) pipeline = pipeline.keepIccProfile();
  // Even an empty EXIF record states the resolution.
  if (unit === 'metre' && format !== 'tiff') pipeline = pipeline.withExif({});
  const encoded = {
    jpeg: () => pipeline.jpeg({ quality, chromaSubsampling: '4:4:4' }),
    webp: () => pipeline.webp({ quality }),
    tiff: () =>
      pipeline.tiff({
        compression: 'deflate',
        predictor: 'horizontal',
        ...(unit === 'metre' && { xres: x / 1000, yres: y / 1000 }),
      }),
    avif: () => pipeline.avif({ quality, bitdepth: wide ? 12 : 8, chromaSubsampling: '4:4:4' }),
  }[format]();
  return encoded.toBuffer().catch((error) =>
    fail(`${name}: ${source.width}x${source.height} pixels cannot be written as ${FORMAT_NAMES[format]}`, {
      notes: [reason(error)],
      help: 'write .png',
    }),
  );
}

/** A drawing as PNG, twice as fine as its size says. */
export async function rasterize(name: string, svg: string): Promise<Uint8Array> {
  const sharp = await loadSharp(name, 'drawing PNG', 'SVG');
  return sharp(new TextEncoder().encode(svg), { density: 2 * SVG_DENSITY })
    .png()
    .toBuffer();
}

/** What libvips takes a drawing's units for, per inch. */
const SVG_DENSITY = 72;

function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split('\n')[0]!;
}
