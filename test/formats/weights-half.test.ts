import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../formats/half.js';

const every = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);
const finite = fc.float({ noNaN: true, noDefaultInfinity: true });

const f16 = (value: number): number => f16ToF32(f32ToF16(Float32Array.of(value)))[0]!;
const bf16 = (value: number): number => bf16ToF32(f32ToBf16(Float32Array.of(value)))[0]!;

describe.each([
  { name: 'f16', widen: f16ToF32, narrow: f32ToF16, infinity: 0x7c00 },
  { name: 'bf16', widen: bf16ToF32, narrow: f32ToBf16, infinity: 0x7f80 },
])('$name', ({ widen, narrow, infinity }) => {
  test('every bit pattern that is not NaN survives a round trip', () => {
    const back = narrow(widen(every));
    const wrong = every.filter((bits) => (bits & 0x7fff) <= infinity && back[bits] !== bits);
    expect(wrong).toHaveLength(0);
  });

  test('NaN stays NaN', () => {
    const values = widen(narrow(widen(every)));
    expect(every.filter((bits) => (bits & 0x7fff) > infinity && !Number.isNaN(values[bits]))).toHaveLength(0);
    expect(widen(narrow(Float32Array.of(Number.NaN)))[0]).toBeNaN();
  });

  test('rounds to the nearest, ties to even', () => {
    const exact = widen(every.subarray(0, infinity));
    fc.assert(
      fc.property(fc.nat(infinity - 2), fc.constantFrom(0.25, 0.5, 0.75), (bits, part) => {
        const [low, high] = [exact[bits]!, exact[bits + 1]!];
        const between = Math.fround(low + (high - low) * part);
        fc.pre(between === low + (high - low) * part);
        const up = part > 0.5 || (part === 0.5 && bits % 2 === 1);
        expect(narrow(Float32Array.of(between, -between))).toEqual(
          Uint16Array.of(bits + Number(up), (bits + Number(up)) | 0x8000),
        );
      }),
    );
  });
});

test('known values', () => {
  expect(f16ToF32(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000))).toEqual(
    Float32Array.of(1, -2, 2 ** -24, 65504, -0),
  );
  expect([f16(65519), f16(65520), f16(-1e30), f16(2 ** -25), f16(2 ** -24 * 0.51)]).toEqual([
    65504,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0,
    2 ** -24,
  ]);
  expect(bf16(1 + 2 ** -8)).toBe(1);
  expect(bf16(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
});

test('narrowing is monotonic and keeps the sign', () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      expect(f16(low)).toBeLessThanOrEqual(f16(high));
      expect(bf16(low)).toBeLessThanOrEqual(bf16(high));
      expect(Object.is(Math.sign(f16(-a)), -Math.sign(f16(a)))).toBe(true);
    }),
  );
});
