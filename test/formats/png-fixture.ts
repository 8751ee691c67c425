// Writes PNGs of every kind the standard knows, straight from it and without any of the code under test.

import { deflateSync } from 'node:zlib';

export interface PngSpec {
  readonly width: number;
  readonly height: number;
  readonly colourType: 0 | 2 | 3 | 4 | 6;
  readonly bitDepth: 1 | 2 | 4 | 8 | 16;
  readonly interlaced?: boolean;
  /** Chunks between IHDR and IDAT. */
  readonly extra?: readonly Uint8Array[];
}

export const SAMPLES_PER_PIXEL = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;

/** Every legal pair of colour type and bit depth. */
export const KINDS = (
  [
    [0, [1, 2, 4, 8, 16]],
    [2, [8, 16]],
    [3, [1, 2, 4, 8]],
    [4, [8, 16]],
    [6, [8, 16]],
  ] as const
).flatMap(([colourType, depths]) => depths.map((bitDepth) => ({ colourType, bitDepth })));

export function chunk(type: string, data: Uint8Array | readonly number[] = []): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), Buffer.from(data)]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(body.length - 4, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc(body), out.length - 4);
  return out;
}

export function ihdr(spec: Omit<PngSpec, 'extra'>): Uint8Array {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(spec.width, 0);
  data.writeUInt32BE(spec.height, 4);
  data.set([spec.bitDepth, spec.colourType, 0, 0, spec.interlaced ? 1 : 0], 8);
  return chunk('IHDR', data);
}

export const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** `sample(x, y, s)` is sample `s` of pixel (x, y), in the range of the bit depth. */
export function makePng(spec: PngSpec, sample: (x: number, y: number, s: number) => number): Uint8Array {
  return Buffer.concat([
    SIGNATURE,
    ihdr(spec),
    ...(spec.extra ?? []),
    chunk('IDAT', deflateSync(scanlines(spec, sample))),
    chunk('IEND'),
  ]);
}

const ONE_PASS = [[0, 0, 1, 1]] as const;
const SEVEN_PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export function scanlines(spec: PngSpec, sample: (x: number, y: number, s: number) => number): Uint8Array {
  const bytes: number[] = [];
  for (const [x0, y0, dx, dy] of spec.interlaced ? SEVEN_PASSES : ONE_PASS) {
    if (x0 >= spec.width) continue;
    for (let y = y0; y < spec.height; y += dy) {
      let bits = '';
      for (let x = x0; x < spec.width; x += dx) {
        for (let s = 0; s < SAMPLES_PER_PIXEL[spec.colourType]; s++) {
          bits += sample(x, y, s).toString(2).padStart(spec.bitDepth, '0');
        }
      }
      bytes.push(0);
      for (let i = 0; i < bits.length; i += 8)
        bytes.push(Number.parseInt(bits.slice(i, i + 8).padEnd(8, '0'), 2));
    }
  }
  return Uint8Array.from(bytes);
}

/** Bit by bit, as in the specification's definition. */
export function crc(bytes: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  }
  return ~rest >>> 0;
}

/** Makes the CRCs right again where chunks can be found, so that damage reaches the code behind that check. */
export function repairCrcs(bytes: Uint8Array): Uint8Array {
  const out = Buffer.from(bytes);
  let at = 8;
  while (at + 12 <= out.length) {
    const end = at + 8 + out.readUInt32BE(at);
    if (end + 4 > out.length) break;
    out.writeUInt32BE(crc(out.subarray(at + 4, end)), end);
    at = end + 4;
  }
  return out;
}

/** A reproducible sample pattern without regularities. */
export function noise(x: number, y: number, s: number): number {
  return Math.imul(x * 7919 + y * 104729 + s * 1299709 + 1, 2654435761) >>> 0;
}

export function noiseOfDepth(bitDepth: number): (x: number, y: number, s: number) => number {
  return (x, y, s) => noise(x, y, s) >>> (32 - bitDepth);
}
