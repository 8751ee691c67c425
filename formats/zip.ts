// Reads zip archives as PyTorch writes them, strictly: the central directory decides, entries may not overlap, and
// what they unpack to is limited before and while unpacking. zip64 is read because PyTorch always writes its records.
// APPNOTE.TXT 6.3.10, sections 4.3.6 to 4.3.16 and 4.5.3.

import { Inflate } from 'fflate';
import { fail } from '../diagnostics.js';
import { Cursor, decodeText } from './cursor.js';
import { quote } from './values.js';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64_LOCATOR = 0x07064b50;
const END64 = 0x06064b50;
const END_BYTES = 22;
const MAX_COMMENT = 0xffff;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
const ZIP64_EXTRA = 1;
/** The value is in the zip64 extra field. */
const IN_ZIP64 = 0xffffffff;

/** Weights hardly compress; more than this is a bomb. Small files may be all zeros. */
const MAX_EXPANSION = 16;
const FREE_BYTES = 2 ** 24;
/** Compressed bytes given to the inflater at a time: at most about 1000 times as many come out before the next check. */
const PIECE = 4096;

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly header: number;
}

/** The archive's files by name, each unpacked when asked for. */
export function readZip(file: string, bytes: Uint8Array): ReadonlyMap<string, () => Uint8Array> {
  const directory = findDirectory(file, bytes);
  const entries = readDirectory(file, bytes, directory);
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  if (total > FREE_BYTES + MAX_EXPANSION * bytes.length) {
    refuse(file, `its entries unpack to ${total} bytes from a file of ${bytes.length}`);
  }
  const files = new Map<string, () => Uint8Array>();
  let end = 0;
  for (const entry of [...entries].sort((a, b) => a.header - b.header)) {
    if (entry.header < end) refuse(file, `entry ${quote(entry.name)} overlaps another`);
    if (files.has(entry.name)) refuse(file, `two entries are named ${quote(entry.name)}`);
    const start = dataStart(file, bytes, entry);
    end = start + entry.packed;
    if (end > directory.start) refuse(file, `entry ${quote(entry.name)} reaches into the directory`);
    const packed = bytes.subarray(start, end);
    files.set(entry.name, () => (entry.method === STORED ? packed : inflate(file, packed, entry)));
  }
  return files;
}

interface Directory {
  readonly start: number;
  readonly count: number;
}

/** The end record is at the end of the file, before a comment of at most 64 KiB. */
function findDirectory(file: string, bytes: Uint8Array): Directory {
  const lowest = Math.max(0, bytes.length - END_BYTES - MAX_COMMENT);
  for (let at = bytes.length - END_BYTES; at >= lowest; at--) {
    if (bytes[at] !== (END & 0xff)) continue;
    const cursor = new Cursor(file, bytes, at);
    if (cursor.u32() !== END) continue;
    cursor.take(6);
    const count = cursor.u16();
    cursor.take(4);
    const start = cursor.u32();
    return readEnd64(file, bytes, at) ?? { start, count };
  }
  return refuse(file, 'the directory at its end is missing: the file is cut short');
}

/** zip64 puts its locator right before the end record. */
function readEnd64(file: string, bytes: Uint8Array, end: number): Directory | undefined {
  const locator = new Cursor(file, bytes, end - 20);
  if (locator.position < 0 || locator.u32() !== END64_LOCATOR) return undefined;
  locator.take(4);
  const cursor = new Cursor(file, bytes, locator.u64());
  if (cursor.u32() !== END64) refuse(file, 'its zip64 record is not where the locator says');
  cursor.take(28);
  const count = cursor.u64();
  cursor.take(8);
  return { count, start: cursor.u64() };
}

function readDirectory(file: string, bytes: Uint8Array, { start, count }: Directory): Entry[] {
  const cursor = new Cursor(file, bytes, start);
  const entries: Entry[] = [];
  while (entries.length < count) entries.push(readEntry(file, cursor));
  return entries;
}

function readEntry(file: string, cursor: Cursor): Entry {
  if (cursor.u32() !== CENTRAL) refuse(file, 'its directory is damaged');
  cursor.take(4);
  const flags = cursor.u16();
  const method = cursor.u16();
  cursor.take(8);
  const packed = cursor.u32();
  const size = cursor.u32();
  const nameLength = cursor.u16();
  const extraLength = cursor.u16();
  const commentLength = cursor.u16();
  cursor.take(8);
  const header = cursor.u32();
  const name = decodeText(cursor.take(nameLength));
  const wide = new Cursor(file, zip64Extra(file, cursor.take(extraLength)));
  cursor.take(commentLength);
  const widen = (value: number): number => (value === IN_ZIP64 ? wide.u64() : value);
  // The extra field holds only the values that overflowed, in this order.
  const entry = { name, method, size: widen(size), packed: widen(packed), header: widen(header) };
  if (flags & ENCRYPTED) refuse(file, `entry ${quote(name)} is encrypted`);
  if (method !== STORED && method !== DEFLATED) {
    refuse(file, `entry ${quote(name)} uses compression method ${method}`);
  }
  if (method === STORED && entry.size !== entry.packed) refuse(file, `entry ${quote(name)} has two sizes`);
  return entry;
}

function zip64Extra(file: string, extra: Uint8Array): Uint8Array {
  const cursor = new Cursor(file, extra);
  while (cursor.remaining >= 4) {
    const id = cursor.u16();
    const field = cursor.take(cursor.u16());
    if (id === ZIP64_EXTRA) return field;
  }
  return new Uint8Array(0);
}

function dataStart(file: string, bytes: Uint8Array, { name, header }: Entry): number {
  const cursor = new Cursor(file, bytes, header);
  if (cursor.u32() !== LOCAL) refuse(file, `entry ${quote(name)} is not where the directory says`);
  cursor.take(22);
  const nameLength = cursor.u16();
  const extraLength = cursor.u16();
  cursor.take(nameLength + extraLength);
  return cursor.position;
}

/** Stops as soon as more comes out than was declared. */
function inflate(file: string, packed: Uint8Array, { name, size }: Entry): Uint8Array {
  const out = new Uint8Array(size);
  let filled = 0;
  const inflater = new Inflate((chunk) => {
    if (chunk.length > size - filled) refuse(file, `entry ${quote(name)} unpacks to more than ${size} bytes`);
    out.set(chunk, filled);
    filled += chunk.length;
  });
  for (let at = 0; at < packed.length; at += PIECE) {
    push(file, name, inflater, packed.subarray(at, at + PIECE), at + PIECE >= packed.length);
  }
  if (filled !== size) refuse(file, `entry ${quote(name)} unpacks to ${filled} bytes, not ${size}`);
  return out;
}

function push(file: string, name: string, inflater: Inflate, piece: Uint8Array, last: boolean): void {
  try {
    inflater.push(piece, last);
  } catch (error) {
    if (error instanceof Error && 'code' in error) {
      refuse(file, `entry ${quote(name)} is damaged: ${error.message}`);
    }
    throw error;
  }
}

function refuse(file: string, note: string): never {
  fail(`${file}: not a readable zip archive`, { notes: [note], help: 'download it again' });
}
