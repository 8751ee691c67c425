// Initial values: their distributions, and that each depends on the seed and its own name alone.

import { expect, test } from 'vitest';
import type { Init, Param } from '../../compiler/graph.js';
import { initialValues } from '../../train/initialize.js';

const param = (name: string, shape: readonly number[], init: Init): Param => ({
  ref: `@${name}`,
  type: { shape },
  init,
  trainable: true,
});

function drawn(init: Init, size = 40_000, seed = 0): Float32Array {
  return initialValues([param('a.weight', [size], init)], seed).get('a.weight')!;
}

function moment(values: Float32Array, power: number): number {
  return values.reduce((sum, value) => sum + value ** power, 0) / values.length;
}

test('torch: uniform between plus and minus 1 / sqrt(fan-in)', () => {
  const values = drawn({ kind: 'torch', fanIn: 16 });
  expect(Math.min(...values)).toBeGreaterThanOrEqual(-0.25);
  expect(Math.min(...values)).toBeLessThan(-0.2499);
  expect(Math.max(...values)).toBeLessThan(0.25);
  expect(Math.max(...values)).toBeGreaterThan(0.2499);
  expect(moment(values, 1)).toBeCloseTo(0, 2);
  expect(moment(values, 2)).toBeCloseTo(0.25 ** 2 / 3, 3);
});

test('kaiming: normal with the deviation scale * sqrt(2 / fan-in)', () => {
  const values = drawn({ kind: 'kaiming', fanIn: 50, scale: 0.1 }).map((value) => value / 0.02);
  expect(moment(values, 1)).toBeCloseTo(0, 1.5);
  expect(moment(values, 2)).toBeCloseTo(1, 1.5);
  expect(Math.abs(moment(values, 4) - 3)).toBeLessThan(0.15);
});

test('constants and unit vectors', () => {
  expect(drawn({ kind: 'constant', value: 0.25 }, 3)).toEqual(Float32Array.of(0.25, 0.25, 0.25));
  const unit = drawn({ kind: 'unit' }, 64);
  expect(64 * moment(unit, 2)).toBeCloseTo(1, 6);
  expect(Math.min(...unit)).toBeLessThan(0);
});

test('a tensor depends on the seed and its own name alone', () => {
  const init: Init = { kind: 'torch', fanIn: 9 };
  const [a, b, c] = ['a', 'b', 'c'].map((name) => param(name, [2, 3], init));
  const some = initialValues([a!, c!], 7);
  const all = initialValues([c!, b!, a!], 7);
  expect(all.get('a')).toEqual(some.get('a'));
  expect(all.get('c')).toEqual(some.get('c'));
  expect(all.get('a')).not.toEqual(all.get('b'));
  expect(initialValues([a!], 8).get('a')).not.toEqual(some.get('a'));
});
