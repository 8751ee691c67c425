// IEEE half precision for test data (Node 20 has no Float16Array): round to nearest even, on f32 bit patterns.

import type { DType } from '../runtime/plan.js';

const scratch = new Float32Array(1);
const bits = new Uint32Array(scratch.buffer);

export function encode(
  data: Float32Array,
  dtype: DType,
): Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> {
  return dtype === 'f16' ? Uint16Array.from(data, toHalf) : Float32Array.from(data);
}

export function decode(bytes: ArrayBuffer, dtype: DType, length: number): Float32Array {
  if (dtype === 'f32') return new Float32Array(bytes, 0, length);
  return Float32Array.from(new Uint16Array(bytes, 0, length), fromHalf);
}

/** `value` as storage of `dtype` keeps it. */
export function rounded(value: number, dtype: DType): number {
  return dtype === 'f16' ? fromHalf(toHalf(value)) : Math.fround(value);
}

function toHalf(value: number): number {
  scratch[0] = value;
  const word = bits[0] as number;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (!(magnitude < 65520)) return sign | (Number.isNaN(value) ? 0x7e00 : 0x7c00);
  if (magnitude < 2 ** -14) return sign | roundEven(magnitude * 2 ** 24);
  const exponent = ((word >>> 23) & 0xff) - 112;
  const mantissa = (word & 0x7fffff) / 0x2000;
  return sign | ((exponent << 10) + roundEven(mantissa));
}

function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const mantissa = half & 0x3ff;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1024 + mantissa) * 2 ** (exponent - 25) : mantissa * 2 ** -24);
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
