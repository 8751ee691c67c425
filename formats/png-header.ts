// Pre-flight of a PNG: everything that can be refused from its chunks alone, before a decoder allocates memory.
// A hostile file costs its sender nothing, so sizes are judged against what the bytes present can possibly inflate to.

import { fail } from '../diagnostics.js';
import { checkSize } from './image.js';
import { broken, type PngChunk, readChunks, truncated } from './png-chunks.js';

export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** 1, 2, 4, 8 or 16 bits per sample (per palette index). */
  readonly bitDepth: number;
  readonly interlaced: boolean;
  /** Size of the pixel data once inflated: every row with its filter byte, every pass when interlaced. */
  readonly inflatedBytes: number;
  readonly chunks: readonly PngChunk[];
  /** Where the PNG ends in the file. */
  readonly end: number;
}

interface ColourType {
  readonly samples: number;
  readonly bitDepths: readonly number[];
  readonly palette: 'required' | 'allowed' | 'forbidden';
  /** Bytes of a tRNS chunk; for a palette, at most one per entry. */
  readonly tRNS?: number;
}

/** Table 11.1 of the specification; the index is the colour type. */
const COLOUR_TYPES: readonly (ColourType | undefined)[] = [
  { samples: 1, bitDepths: [1, 2, 4, 8, 16], palette: 'forbidden', tRNS: 2 },
  undefined,
  { samples: 3, bitDepths: [8, 16], palette: 'allowed', tRNS: 6 },
  { samples: 1, bitDepths: [1, 2, 4, 8], palette: 'required' },
  { samples: 2, bitDepths: [8, 16], palette: 'forbidden' },
  undefined,
  { samples: 4, bitDepths: [8, 16], palette: 'allowed' },
];

/** Sizes of ancillary chunks that readers take for granted. */
const FIXED_SIZES: Readonly<Record<string, number>> = {
  gAMA: 4,
  cHRM: 32,
  sRGB: 1,
  cICP: 4,
  mDCV: 24,
  cLLI: 8,
  pHYs: 9,
};

/** Deflate's best: 258 bytes out of two bits. */
const MAX_INFLATION = 1032;

/** Longer rows overflow 32-bit row arithmetic in decoders. */
const MAX_SIDE = 2 ** 20;

/** Checks the whole container of `bytes`, which start with PNG's signature. */
export function readPngHeader(name: string, bytes: Uint8Array): PngHeader {
  const { chunks, end } = readChunks(name, bytes);
  const { width, height, bitDepth, colourType, interlaced } = readIhdr(name, chunks[0]!);
  const ofType = (type: string) => chunks.filter((chunk) => chunk.type === type);

  if (ofType('acTL').length > 0) {
    fail(`${name}: this is an animated PNG; only still images can be read`, {
      help: 'extract the frames as single files and pass their folder',
    });
  }
  for (const { type, data } of chunks) {
    if (/^[A-Z]/.test(type) && !['IHDR', 'PLTE', 'IDAT', 'IEND'].includes(type)) {
      fail(`${name}: the PNG needs the chunk type ${type}, which is not part of the standard`, {
        help: 'save the file again as a standard PNG',
      });
    }
    const size = FIXED_SIZES[type];
    if (size !== undefined && data.length !== size) {
      broken(name, [`chunk ${type} has ${data.length} bytes instead of ${size}`]);
    }
  }
  for (const type of ['IHDR', 'PLTE', 'tRNS', 'iCCP', 'eXIf', ...Object.keys(FIXED_SIZES)]) {
    if (ofType(type).length > 1) broken(name, [`it has ${ofType(type).length} ${type} chunks`]);
  }

  const firstPixels = chunks.findIndex(({ type }) => type === 'IDAT');
  if (firstPixels < 0) truncated(name, 'it has no IDAT chunk, so no pixels');
  const pixels = ofType('IDAT');
  if (chunks.slice(firstPixels, firstPixels + pixels.length).some(({ type }) => type !== 'IDAT')) {
    broken(name, ['its IDAT chunks are not next to each other']);
  }
  checkPalette(name, colourType, chunks.slice(0, firstPixels), chunks.slice(firstPixels));

  const inflatedBytes = sizeInflated(width, height, bitDepth * colourType.samples, interlaced);
  const deflatedBytes = pixels.reduce((sum, { data }) => sum + data.length, 0);
  if (inflatedBytes > deflatedBytes * MAX_INFLATION) {
    truncated(name, `${width}x${height} pixels cannot come out of ${deflatedBytes} bytes of pixel data`);
  }
  return { width, height, bitDepth, interlaced, inflatedBytes, chunks, end };
}

function readIhdr(name: string, { type, data }: PngChunk) {
  if (type !== 'IHDR' || data.length !== 13) {
    broken(name, [`it starts with a ${type} chunk of ${data.length} bytes instead of IHDR of 13`]);
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const width = view.getUint32(0);
  const height = view.getUint32(4);
  const [bitDepth, typeCode, compression, filter, interlace] = data.subarray(8);
  checkSize(name, width, height);
  if (Math.max(width, height) > MAX_SIDE) {
    fail(`${name}: the image is ${width}x${height} pixels; no side may be longer than ${MAX_SIDE}`, {
      help: 'crop the image into parts',
    });
  }
  const colourType = COLOUR_TYPES[typeCode!];
  if (!colourType?.bitDepths.includes(bitDepth!)) {
    broken(name, [`colour type ${typeCode} with ${bitDepth} bits per sample does not exist`]);
  }
  if (compression !== 0 || filter !== 0 || interlace! > 1) {
    broken(name, [
      `compression ${compression}, filter ${filter} or interlace method ${interlace} does not exist`,
    ]);
  }
  return { width, height, bitDepth: bitDepth!, colourType, interlaced: interlace === 1 };
}

function checkPalette(
  name: string,
  { palette: need, tRNS }: ColourType,
  before: readonly PngChunk[],
  after: readonly PngChunk[],
): void {
  const late = after.find(({ type }) => type === 'PLTE' || type === 'tRNS');
  if (late) broken(name, [`its ${late.type} chunk comes after the pixels`]);
  const palette = before.find(({ type }) => type === 'PLTE')?.data;
  const transparency = before.find(({ type }) => type === 'tRNS')?.data;
  if (!palette && need === 'required') broken(name, ['it is a palette image without a palette (PLTE)']);
  if (palette && need === 'forbidden') broken(name, ['it is a gray image with a palette (PLTE)']);
  if (palette && (palette.length % 3 !== 0 || palette.length < 3 || palette.length > 768)) {
    broken(name, [`its palette has ${palette.length} bytes, which is not 1 to 256 colours of 3 bytes`]);
  }
  if (!transparency) return;
  if (need === 'required') {
    const colours = palette!.length / 3;
    if (transparency.length > colours) {
      broken(name, [`its palette has ${colours} colours, but ${transparency.length} opacities (tRNS)`]);
    }
    if (before.findIndex(({ type }) => type === 'tRNS') < before.findIndex(({ type }) => type === 'PLTE')) {
      broken(name, ['its tRNS chunk comes before its palette']);
    }
  } else if (transparency.length !== tRNS) {
    broken(name, [`its tRNS chunk has ${transparency.length} bytes instead of ${tRNS ?? 'none'}`]);
  }
}

/** First column, first row, column step and row step of Adam7's passes. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

function sizeInflated(width: number, height: number, bitsPerPixel: number, interlaced: boolean): number {
  const passes = interlaced ? ADAM7 : [[0, 0, 1, 1] as const];
  return passes.reduce((sum, [x, y, stepX, stepY]) => {
    const columns = Math.ceil((width - x) / stepX);
    const rows = Math.ceil((height - y) / stepY);
    return columns > 0 && rows > 0 ? sum + rows * (1 + Math.ceil((columns * bitsPerPixel) / 8)) : sum;
  }, 0);
}
