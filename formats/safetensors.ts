// safetensors: an 8-byte length, a JSON header of names, types, shapes and byte ranges, then the data. The format
// wants the ranges to cover the data exactly (no gap, no overlap); that is checked, so a hostile file cannot alias.
// https://github.com/huggingface/safetensors (format section)

import { fail } from '../diagnostics.js';
import { decodeText } from './cursor.js';
import { DTYPE_NAMES, DTYPES, type Dtype, isFloat } from './dtype.js';
import { F16_OVERFLOW } from './half.js';
import { elementsOf, isRecord, isShape, parseObject, printShape, quote } from './values.js';
import type { WeightFile, WeightTensor } from './weights.js';

/** The limit of the reference implementation. */
const MAX_HEADER = 100_000_000;
const LENGTH_BYTES = 8;

const BY_NAME: ReadonlyMap<string, Dtype> = new Map(DTYPE_NAMES.map((dtype) => [dtype.toUpperCase(), dtype]));

/** By content: a plausible header length, then `{`. */
export function isSafetensors(bytes: Uint8Array): boolean {
  return bytes[LENGTH_BYTES] === 0x7b && headerLength(bytes) <= MAX_HEADER;
}

export function readSafetensors(name: string, bytes: Uint8Array): WeightFile {
  const length = headerLength(bytes);
  if (!(length <= bytes.length - LENGTH_BYTES && length <= MAX_HEADER)) {
    broken(name, `its header should have ${length} bytes, the file has ${bytes.length}`);
  }
  const text = decodeText(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
  const { __metadata__: metadata = {}, ...entries } = parseObject(name, 'the safetensors header', text);
  const data = bytes.subarray(LENGTH_BYTES + length);

  const located = Object.entries(entries).map(([key, entry]) => locate(name, key, entry));
  checkCoverage(name, located, data.length);
  const tensors = located.map(({ key, dtype, shape, begin, end }): [string, WeightTensor] => [
    key,
    { shape, dtype, data: DTYPES[dtype].decode(data.subarray(begin, end)) },
  ]);
  return {
    name,
    format: 'safetensors',
    tensors: new Map(tensors),
    metadata: readMetadata(name, metadata),
  };
}

/** Writes every tensor as its `dtype` says, in the order given; the data starts on a multiple of 8 bytes. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, WeightTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const header: [string, unknown][] = Object.keys(metadata).length ? [['__metadata__', metadata]] : [];
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const [key, { shape, data, dtype }] of tensors) {
    const encoded = DTYPES[dtype].encode(data);
    parts.push(new Uint8Array(encoded.buffer));
    const begin = end;
    end += encoded.byteLength;
    header.push([key, { dtype: dtype.toUpperCase(), shape, data_offsets: [begin, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const out = new Uint8Array(LENGTH_BYTES + padded + end);
  new DataView(out.buffer).setUint32(0, padded, true);
  out.fill(0x20, LENGTH_BYTES, LENGTH_BYTES + padded);
  out.set(json, LENGTH_BYTES);
  let at = LENGTH_BYTES + padded;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The same tensors to be stored as `precision`; counters stay integers. Refuses values that f16 cannot hold. */
export function withPrecision(file: WeightFile, precision: 'f32' | 'f16'): Map<string, WeightTensor> {
  const out = new Map<string, WeightTensor>();
  for (const [key, tensor] of file.tensors) {
    const dtype = isFloat(tensor.dtype) ? precision : tensor.dtype;
    if (dtype === 'f16') {
      const large = tensor.data.find((value) => Math.abs(value) >= F16_OVERFLOW && Number.isFinite(value));
      if (large !== undefined) {
        fail(`${file.name}: ${quote(key)} holds ${large}, more than f16 can`, {
          help: 'use --precision f32',
        });
      }
    }
    out.set(key, { ...tensor, dtype });
  }
  return out;
}

interface Located {
  readonly key: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function locate(name: string, key: string, entry: unknown): Located {
  if (!isRecord(entry)) broken(name, `the entry of ${quote(key)} is not an object`);
  const { dtype: stored, shape, data_offsets: range } = entry;
  if (typeof stored !== 'string' || !isShape(shape) || !isShape(range) || range.length !== 2) {
    broken(name, `the entry of ${quote(key)} needs a dtype, a shape and two data_offsets`);
  }
  const dtype = BY_NAME.get(stored);
  if (!dtype) {
    fail(`${name}: ${quote(key)} is stored as ${quote(stored)}`, {
      notes: [`readable types: ${[...BY_NAME.keys()].join(', ')}`],
      help: 'convert the tensors to float32 or float16 first',
    });
  }
  const [begin = 0, end = 0] = range;
  const size = elementsOf(shape) * DTYPES[dtype].width;
  if (end - begin !== size) {
    broken(name, `${quote(key)} is ${stored} ${printShape(shape)}, ${size} bytes, but spans ${end - begin}`);
  }
  return { key, dtype, shape, begin, end };
}

function checkCoverage(name: string, located: readonly Located[], size: number): void {
  let covered = 0;
  for (const { key, begin, end } of [...located].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < covered) broken(name, `${quote(key)} overlaps another tensor at data offset ${begin}`);
    if (begin > covered) broken(name, `a gap before ${quote(key)}: data offsets ${covered} to ${begin}`);
    covered = end;
  }
  if (covered !== size) broken(name, `the tensors need ${covered} bytes of data, the file has ${size}`);
}

function readMetadata(name: string, value: unknown): Record<string, string> {
  if (!isRecord(value)) broken(name, '__metadata__ is not an object');
  const entries = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text !== 'string') broken(name, `__metadata__ ${quote(key)} is not a string`);
    return [key, text];
  });
  return Object.fromEntries(entries);
}

function headerLength(bytes: Uint8Array): number {
  if (bytes.length < LENGTH_BYTES) return Number.POSITIVE_INFINITY;
  const view = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES);
  return view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
}

function broken(name: string, note: string): never {
  fail(`${name}: not a valid safetensors file`, { notes: [note], help: 'download or write it again' });
}
