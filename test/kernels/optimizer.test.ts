// Adam, averages, norms and the verdict on a step, kernel by kernel, against plain loops in f64.

import { describe, expect, test } from 'vitest';
import { findingOf, NONFINITE_PARTS, nonfinite } from '../../runtime/kernels/nonfinite.js';
import {
  accumulate,
  adam,
  adamRates,
  average,
  judge,
  type Ledger,
  ledgerOf,
  restore,
  squares,
  squaresParts,
} from '../../runtime/kernels/optimizer.js';
import { device, dtypes, launch, type Storage } from '../device.js';
import { noisy, view } from './tensors.js';

const LEDGER = ledgerOf(2, 3);

function f32(data: Float32Array): Storage {
  return { dtype: 'f32', data };
}

function ledgerWith(values: Partial<Record<keyof Ledger, number>>): Storage {
  const data = new Float32Array(LEDGER.length);
  for (const [key, value] of Object.entries(values)) data[LEDGER[key as keyof Ledger]] = value;
  return f32(data);
}

/** `floor`: the size of values below which errors are not relative to them. */
function expectClose(actual: Float32Array, expected: ArrayLike<number>, floor = 1e-3): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    const error = Math.abs(value - expected[i]!) / Math.max(Math.abs(expected[i]!), floor);
    expect(error, `element ${i} is ${value}, not ${expected[i]}`).toBeLessThan(2e-6);
  });
}

describe.skipIf(!device)('optimizer', () => {
  test.each([4, 252, 5000])('Adam on %i floats, 20 steps', async (floats) => {
    const [betas, eps, rate, factor] = [[0.9, 0.99], 1e-8, 1e-2, 0.25] as const;
    const ledger = ledgerWith({ applied: 1 });
    ledger.data[LEDGER.factors + 1] = factor;
    let [p, m, v] = [noisy(floats, 1), new Float32Array(floats), new Float32Array(floats)];
    const [rp, rm, rv] = [p, m, v].map((values) => Float64Array.from(values));
    const call = adam({ betas, eps, floats, ledger: LEDGER, arena: 1 });
    for (let t = 1; t <= 20; t++) {
      const g = noisy(floats, 100 + t);
      g[floats - 1] = 0; // padding
      if (t === 1) p[floats - 1] = rp![floats - 1] = 0;
      const rates = Float32Array.of(0, 0, ...adamRates(t, rate, betas));
      const slots = [p, m, v, g].map(f32);
      [p, m, v] = (await launch(call, [...slots, ledger, f32(rates)], {})) as [typeof p, typeof m, typeof v];
      g.forEach((value, i) => {
        rm![i] = betas[0] * rm![i]! + (1 - betas[0]) * value * factor;
        rv![i] = betas[1] * rv![i]! + (1 - betas[1]) * (value * factor) ** 2;
        const unbiased = Math.sqrt(rv![i]! / (1 - betas[1] ** t)) + eps;
        rp![i] = rp![i]! - (rate / (1 - betas[0] ** t)) * (rm![i]! / unbiased);
      });
    }
    expectClose(v, rv!);
    expectClose(m, rm!, 0.5); // a sum of both signs
    expectClose(p, rp!, 0.5);
    expect([p[floats - 1], m[floats - 1], v[floats - 1]]).toEqual([0, 0, 0]);
  });

  test('a step that does not count changes nothing but what it must take back', async () => {
    const ledger = ledgerWith({ applied: 0 });
    const [p, m, v, nan] = [1, 2, 3, 4].map((seed) => noisy(8, seed)) as [Float32Array, ...Float32Array[]];
    nan!.fill(Number.NaN);
    const slots = [p, m!, v!, nan!].map(f32);
    const call = adam({ betas: [0.9, 0.99], eps: 1e-8, floats: 8, ledger: LEDGER, arena: 0 });
    const result = await launch(call, [...slots, ledger, f32(new Float32Array(4))], {});
    expect(result.slice(0, 3)).toEqual([p, m, v]);
    const [kept] = await launch(
      average({ decay: 0.9, floats: 8, ledger: LEDGER }),
      [f32(p), f32(nan!), ledger],
      {},
    );
    expect(kept).toEqual(p);
    const undo = restore({ floats: 8, ledger: LEDGER });
    expect((await launch(undo, [f32(nan!), f32(p), ledger], {}))[0]).toEqual(p);
    expect((await launch(undo, [f32(m!), f32(p), ledgerWith({ applied: 1 })], {}))[0]).toEqual(m);
  });

  test('the average and the sum of gradients', async () => {
    const [a, p] = [noisy(260, 1), noisy(260, 2)];
    const slots = [f32(a), f32(p), ledgerWith({ applied: 1 })];
    const [averaged] = await launch(average({ decay: 0.999, floats: 260, ledger: LEDGER }), slots, {});
    expectClose(
      averaged!,
      a.map((value, i) => 0.999 * value + (1 - 0.999) * p[i]!),
    );
    const [sum] = await launch(accumulate({ floats: 260 }), [f32(a), f32(p)], {});
    expect(sum).toEqual(a.map((value, i) => value + p[i]!));
  });

  test.each([4, 1020, 40_000])('squares of %i floats', async (floats) => {
    const g = noisy(floats, 3);
    const parts = squaresParts({ floats });
    const out = new Float32Array(parts + 3).fill(7);
    const [, partial] = await launch(squares({ floats, first: 2 }), [f32(g), f32(out)], {});
    expect([partial![0], partial![1], partial![parts + 2]]).toEqual([7, 7, 7]);
    const sum = partial!.slice(2, parts + 2).reduce((a, b) => a + b);
    expectClose(Float32Array.of(sum), [g.reduce((a, b) => a + b * b, 0)]);
  });

  describe('the verdict', () => {
    const parts = [
      { first: 0, end: 3 },
      { first: 3, end: 300 },
    ];
    const partial = noisy(300, 5).map(Math.abs);
    const norms = parts.map(({ first, end }) => Math.sqrt(partial.slice(first, end).reduce((a, b) => a + b)));

    async function verdict(
      spec: { clip?: number; scaled?: boolean; batches?: number },
      before: Partial<Record<keyof Ledger, number>>,
      sums = partial,
    ) {
      const call = judge({ ledger: LEDGER, parts, batches: 1, scaled: false, ...spec });
      const [after] = await launch(call, [ledgerWith(before), f32(sums)], {});
      const { scale, since, halted, applied, factors } = LEDGER;
      return {
        state: [scale, since, halted, applied].map((i) => after![i]),
        factors: after!.slice(factors, factors + 2),
        norms: after!.slice(LEDGER.norms, LEDGER.norms + 2),
      };
    }

    const broken = partial.with(200, Number.POSITIVE_INFINITY);

    test('a finite step counts; its gradient is the mean, clipped by its norm', async () => {
      const plain = await verdict({}, { scale: 1 });
      expect(plain.state).toEqual([1, 0, 0, 1]);
      expect([...plain.factors]).toEqual([1, 1]);
      expectClose(plain.norms, norms);
      const clipped = await verdict({ clip: 2, batches: 4 }, { scale: 1 });
      expectClose(
        clipped.norms,
        norms.map((norm) => norm / 4),
      );
      expectClose(
        clipped.factors,
        norms.map((norm) => Math.min(1, 2 / (norm / 4 + 1e-6)) / 4),
      );
      expect(clipped.factors[0]).toBe(0.25);
      expect(clipped.factors[1]).toBeLessThan(0.25);
    });

    test('the scale of the loss is taken out, grows and shrinks', async () => {
      const scaled = await verdict({ scaled: true }, { scale: 8, since: 5 });
      expect(scaled.state).toEqual([8, 6, 0, 1]);
      expectClose(
        scaled.norms,
        norms.map((norm) => norm / 8),
      );
      expect([...scaled.factors]).toEqual([1 / 8, 1 / 8]);
      expect((await verdict({ scaled: true }, { scale: 8, since: 1999 })).state).toEqual([16, 0, 0, 1]);
      expect((await verdict({ scaled: true }, { scale: 2 ** 24, since: 1999 })).state).toEqual([
        2 ** 24,
        0,
        0,
        1,
      ]);
      expect((await verdict({ scaled: true }, { scale: 8, since: 1999 }, broken)).state).toEqual([
        4, 0, 0, 0,
      ]);
      expect((await verdict({ scaled: true }, { scale: 1, since: 3 }, broken)).state).toEqual([1, 3, 1, 0]);
      expect((await verdict({ scaled: true }, { scale: 1, since: 3, halted: 1 })).state).toEqual([
        1, 3, 1, 0,
      ]);
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%d halts', async (value) => {
      expect((await verdict({}, { scale: 1 }, partial.with(1, value))).state).toEqual([1, 0, 1, 0]);
      expect((await verdict({}, { scale: 1, scalars: value })).state).toEqual([1, 0, 1, 0]);
      expect((await verdict({}, { scale: 1, halted: 1 })).state).toEqual([1, 0, 1, 0]);
    });
  });

  test.each(dtypes)('what is no number is found in its range only (%s)', async (dtype) => {
    const x = view(0, [2, 3, 5], 6, { dtype, stride: 16, offset: 4 });
    const look = async (index: number, value: number) => {
      const data = noisy(2 * 3 * 5 * 16, 1, dtype).map(() => 0);
      data[index] = value;
      const flags = new Float32Array(NONFINITE_PARTS + 1);
      const [, parts] = await launch(nonfinite({ x, first: 1 }), [{ dtype, data }, f32(flags)], {});
      return findingOf(parts!.subarray(1));
    };
    expect(await look(16 * 29 + 9, Number.NaN)).toBe('NaN');
    expect(await look(4, Number.NEGATIVE_INFINITY)).toBe('Inf');
    expect(await look(16 * 29 + 10, Number.NaN)).toBeUndefined();
    expect(await look(16 + 3, Number.NaN)).toBeUndefined();
    expect(await look(4, 65504)).toBeUndefined();
  });
});
