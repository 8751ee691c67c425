// The container of PNG (W3C PNG 3rd edition, section 5): walking its chunks with every length and CRC checked, and
// inserting chunks into a finished file. What the chunks mean is the business of png-header.ts and png-meta.ts.

import { fail } from '../diagnostics.js';

export interface PngChunk {
  /** Four letters; an upper-case first letter means that the file cannot be understood without it. */
  readonly type: string;
  readonly data: Uint8Array;
}

const SIGNATURE_BYTES = 8;
/** Length, type and CRC around a chunk's data. */
const FRAME_BYTES = 12;
/** Chunks of no bytes cost nothing in a file but time in every reader; a sound file of 2^28 pixels has fewer. */
const MAX_CHUNKS = 2 ** 20;

/** The chunks up to and including IEND, and where the PNG ends (files may carry something else behind it). */
export function readChunks(name: string, bytes: Uint8Array): { chunks: PngChunk[]; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: PngChunk[] = [];
  let offset = SIGNATURE_BYTES;
  while (offset + FRAME_BYTES <= bytes.length) {
    const length = view.getUint32(offset);
    const type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    if (!/^[a-zA-Z]{4}$/.test(type)) {
      broken(name, [`at byte ${offset} there should be a chunk, but its type is not four letters`]);
    }
    const crcAt = offset + 8 + length;
    if (crcAt + 4 > bytes.length) {
      const rest = bytes.length - offset - FRAME_BYTES;
      truncated(name, `chunk ${type} at byte ${offset} announces ${length} bytes, ${rest} are left`);
    }
    const expected = view.getUint32(crcAt);
    const actual = crc32(bytes.subarray(offset + 4, crcAt));
    if (actual !== expected) {
      broken(name, [
        `chunk ${type} at byte ${offset} has CRC ${hex(actual)}, the file says ${hex(expected)}`,
      ]);
    }
    if (chunks.length === MAX_CHUNKS) broken(name, [`it has more than ${MAX_CHUNKS} chunks`]);
    chunks.push({ type, data: bytes.subarray(offset + 8, crcAt) });
    offset = crcAt + 4;
    if (type === 'IEND') return { chunks, end: offset };
  }
  return truncated(name, `it ends at byte ${bytes.length} without an IEND chunk`);
}

/** `png` with `chunks` right behind its header chunk, which is a valid place for everything that is not a pixel. */
export function insertChunks(png: Uint8Array, chunks: readonly PngChunk[]): Uint8Array {
  const headerEnd = SIGNATURE_BYTES + FRAME_BYTES + 13;
  const parts = [png.subarray(0, headerEnd), ...chunks.map(frame), png.subarray(headerEnd)];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

function frame({ type, data }: PngChunk): Uint8Array {
  const out = new Uint8Array(data.length + FRAME_BYTES);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

/** Refuses a PNG that is cut short. */
export function truncated(name: string, note: string): never {
  fail(`${name}: the PNG is truncated`, { notes: [note], help: 'download or copy the file again' });
}

/** Refuses a PNG that is damaged, or that breaks the rules of the format. */
export function broken(name: string, notes: readonly string[]): never {
  fail(`${name}: the PNG is broken`, { notes, help: 'download the file again, or save it again as PNG' });
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** ISO 3309, as in zip and gzip. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
