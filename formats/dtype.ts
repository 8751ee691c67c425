// The number types weight files store, each with its bytes <-> f32 codec. Integers appear only as counters
// (`num_batches_tracked`) and are exact up to 2^24.

import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './half.js';

export const DTYPE_NAMES = ['f32', 'f16', 'bf16', 'f64', 'i64', 'i32'] as const;
export type Dtype = (typeof DTYPE_NAMES)[number];

interface Codec {
  /** Bytes per element. */
  readonly width: number;
  decode(bytes: Uint8Array): Float32Array;
  encode(values: Float32Array): ArrayBufferView<ArrayBuffer>;
}

export const DTYPES: Readonly<Record<Dtype, Codec>> = {
  f32: {
    width: 4,
    decode: (bytes) => new Float32Array(copy(bytes)),
    encode: (values) => new Float32Array(values),
  },
  f16: {
    width: 2,
    decode: (bytes) => f16ToF32(new Uint16Array(copy(bytes))),
    encode: f32ToF16,
  },
  bf16: {
    width: 2,
    decode: (bytes) => bf16ToF32(new Uint16Array(copy(bytes))),
    encode: f32ToBf16,
  },
  f64: {
    width: 8,
    decode: (bytes) => Float32Array.from(new Float64Array(copy(bytes))),
    encode: (values) => Float64Array.from(values),
  },
  i64: {
    width: 8,
    decode: (bytes) => Float32Array.from(new BigInt64Array(copy(bytes)), Number),
    encode: (values) => BigInt64Array.from(Array.from(values, (value) => BigInt(Math.round(value)))),
  },
  i32: {
    width: 4,
    decode: (bytes) => Float32Array.from(new Int32Array(copy(bytes))),
    encode: (values) => Int32Array.from(values),
  },
};

export function isFloat(dtype: Dtype): boolean {
  return dtype !== 'i64' && dtype !== 'i32';
}

/** A buffer of its own: typed arrays need alignment that slices of files do not have. */
function copy(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
