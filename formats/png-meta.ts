// What a PNG says about its pixels besides the pixels: colour profile, colour chunks, physical size, rotation. Read from
// checked chunks and turned back into chunks, because PNG libraries drop them.

import { Unzlib, zlibSync } from 'fflate';
import { fail } from '../diagnostics.js';
import { readExif } from './exif.js';
import type { Density, Image } from './image.js';
import type { PngChunk } from './png-chunks.js';

export interface PngMeta extends Pick<Image, 'icc' | 'density' | 'colourChunks'> {
  /** EXIF orientation, 1 to 8. */
  readonly orientation: number;
}

/** They say what sample values mean, so they stay true for the enlarged image. */
const COLOUR_CHUNKS = new Set(['cICP', 'sRGB', 'gAMA', 'cHRM', 'mDCV', 'cLLI']);

/** Real profiles stay below 4 MiB; a few kilobytes of hostile file inflate to any size. */
const MAX_PROFILE_BYTES = 2 ** 24;

/** PNG's four-byte integers stop here. */
const MAX_INTEGER = 2 ** 31 - 1;

export function readPngMeta(name: string, chunks: readonly PngChunk[]): PngMeta {
  const find = (type: string) => chunks.find((chunk) => chunk.type === type)?.data;
  const iccp = find('iCCP');
  const phys = find('pHYs');
  const exif = find('eXIf');
  const colourChunks = chunks
    .filter(({ type }) => COLOUR_CHUNKS.has(type))
    .map(({ type, data }) => ({ type, data: data.slice() }));
  return {
    orientation: (exif && readExif(exif)?.orientation) ?? 1,
    ...(iccp && { icc: readProfile(name, iccp) }),
    ...(phys && { density: readDensity(phys) }),
    ...(colourChunks.length > 0 && { colourChunks }),
  };
}

/** The chunks to insert into a PNG of `image`. */
export function pngMetaChunks({ icc, density, colourChunks = [] }: Image): PngChunk[] {
  return [
    ...(icc ? [{ type: 'iCCP', data: writeProfile(icc) }] : []),
    ...colourChunks,
    ...(density ? [{ type: 'pHYs', data: writeDensity(density) }] : []),
  ];
}

/** iCCP: name, NUL, compression method 0, zlib stream. */
function readProfile(name: string, data: Uint8Array): Uint8Array {
  const start = data.indexOf(0) + 2;
  if (start < 2 || data[start - 1] !== 0) damagedProfile(name, 'its header is not a name and a method');
  const parts: Uint8Array[] = [];
  let size = 0;
  const inflate = new Unzlib((part) => {
    parts.push(part.slice());
    size += part.length;
  });
  // In small steps, so that a bomb is seen before it has gone off.
  const step = 4096;
  for (let at = start; at < data.length && size <= MAX_PROFILE_BYTES; at += step) {
    try {
      inflate.push(data.subarray(at, at + step), at + step >= data.length);
    } catch (error) {
      damagedProfile(name, error instanceof Error ? error.message : String(error));
    }
  }
  if (size === 0) damagedProfile(name, 'it is empty');
  if (size > MAX_PROFILE_BYTES) damagedProfile(name, `it inflates to more than ${MAX_PROFILE_BYTES} bytes`);
  const profile = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    profile.set(part, offset);
    offset += part.length;
  }
  return profile;
}

function damagedProfile(name: string, note: string): never {
  fail(`${name}: the colour profile (iCCP) of the PNG is damaged`, {
    notes: [note],
    help: 'save the file again, with its profile embedded or without one',
  });
}

function writeProfile(icc: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode('ICC profile\0\0');
  const body = zlibSync(icc);
  const data = new Uint8Array(head.length + body.length);
  data.set(head);
  data.set(body, head.length);
  return data;
}

function readDensity(phys: Uint8Array): Density {
  const view = new DataView(phys.buffer, phys.byteOffset, phys.byteLength);
  return { x: view.getUint32(0), y: view.getUint32(4), unit: phys[8] === 1 ? 'metre' : 'aspect' };
}

function writeDensity({ x, y, unit }: Density): Uint8Array {
  const data = new Uint8Array(9);
  const view = new DataView(data.buffer);
  view.setUint32(0, Math.min(Math.round(x), MAX_INTEGER));
  view.setUint32(4, Math.min(Math.round(y), MAX_INTEGER));
  data[8] = unit === 'metre' ? 1 : 0;
  return data;
}
