// 16-bit floats to and from f32: IEEE half and bfloat16, rounding to nearest even. Typed arrays are little-endian
// on every machine that has WebGPU, and so are all weight files read here.

/** All 65536 halves: one load per value is several times faster than bit arithmetic. */
const HALVES = new Float32Array(0x10000).map((_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
});

/** The largest magnitude that does not round to infinity is just under this. */
export const F16_OVERFLOW = 65520;

export function f16ToF32(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) out[i] = HALVES[halves[i]!]!;
  return out;
}

export function f32ToF16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = wordsOf(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const word = words[i]!;
    const magnitude = word & 0x7fffffff;
    let half: number;
    if (magnitude >= 0x47800000) {
      half = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00; // 65536 and above; NaN stays NaN
    } else if (magnitude < 0x38800000) {
      half = roundEven(Math.abs(values[i]!) * 2 ** 24); // below 2^-14: a multiple of 2^-24
    } else {
      half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13; // exponent bias 127 -> 15
    }
    out[i] = ((word >>> 16) & 0x8000) | half;
  }
  return out;
}

export function bf16ToF32(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
  return new Float32Array(words.buffer);
}

export function f32ToBf16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = wordsOf(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const word = words[i]!;
    const nan = (word & 0x7fffffff) > 0x7f800000;
    out[i] = nan ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

function wordsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Adding 2^52 leaves no bits for a fraction, so the addition itself rounds to even. */
function roundEven(value: number): number {
  return value + 2 ** 52 - 2 ** 52;
}
