// The random numbers of training: the generator's published vectors, streams that do not touch each other, moments.

import { describe, expect, test } from 'vitest';
import { philox, randomFor } from '../../train/random.js';

describe('Philox4x32-10', () => {
  // Random123 1.14, tests/kat_vectors: counter, key, result.
  test.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [Array(4).fill(0xffffffff), Array(2).fill(0xffffffff), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('counter %j', (counter, key, expected) => {
    const out = new Uint32Array(4);
    philox(out, Uint32Array.from(counter), Uint32Array.from(key));
    expect([...out]).toEqual(expected);
  });
});

const take = (count: number, seed: number, ...key: (string | number)[]) => {
  const random = randomFor(seed, ...key);
  return Array.from({ length: count }, () => random.uniform());
};

test('a stream is a function of its seed and key', () => {
  expect(take(9, 7, 'sample', 3)).toEqual(take(9, 7, 'sample', 3));
  const streams = [
    take(3, 7, 'sample', 3),
    take(3, 8, 'sample', 3),
    take(3, -7, 'sample', 3),
    take(3, 7 + 2 ** 40, 'sample', 3),
    take(3, 7, 'sample', 4),
    take(3, 7, 'sample', '3'),
    take(3, 7, 'sample3'),
    take(3, 7, 3, 'sample'),
    take(3, 7),
  ];
  expect(new Set(streams.flat()).size).toBe(27);
});

/** The mean of `count` values, and how far it may be from the truth given their variance: five standard errors. */
function mean(count: number, value: () => number, variance: number) {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += value();
  return { value: sum / count, error: 5 * Math.sqrt(variance / count) };
}

test('uniform numbers', () => {
  const random = randomFor(1, 'uniform');
  const { value, error } = mean(20_000, () => random.uniform(-2, 6), 64 / 12);
  expect(Math.abs(value - 2)).toBeLessThan(error);
  for (let i = 0; i < 1000; i++) {
    const one = random.uniform(3, 4);
    expect(one >= 3 && one < 4).toBe(true);
  }
});

test('normal numbers have the moments of a normal distribution', () => {
  const random = randomFor(1, 'normal');
  const values = Array.from({ length: 40_000 }, () => random.normal());
  const moment = (power: number) => values.reduce((sum, v) => sum + v ** power, 0) / values.length;
  const within = (variance: number) => 5 * Math.sqrt(variance / values.length);
  expect(Math.abs(moment(1))).toBeLessThan(within(1));
  expect(Math.abs(moment(2) - 1)).toBeLessThan(within(2));
  expect(Math.abs(moment(3))).toBeLessThan(within(15));
  expect(Math.abs(moment(4) - 3)).toBeLessThan(within(96));
  const pairs = values.slice(1).reduce((sum, v, i) => sum + v * values[i]!, 0) / values.length;
  expect(Math.abs(pairs)).toBeLessThan(within(1));
});

test('whole numbers, choices and coins come as often as they should', () => {
  const random = randomFor(5, 'discrete');
  const count = 12_000;
  const frequencies = (draw: () => number, kinds: number) => {
    const seen = new Array<number>(kinds).fill(0);
    for (let i = 0; i < count; i++) seen[draw()]!++;
    return seen.map((n) => n / count);
  };
  const close = (actual: number[], expected: number[]) => {
    expect(actual.length).toBe(expected.length);
    expected.forEach((p, i) => {
      expect(Math.abs(actual[i]! - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / count));
    });
  };
  close(
    frequencies(() => random.below(3), 3),
    [1 / 3, 1 / 3, 1 / 3],
  );
  close(
    frequencies(() => random.weighted([2, 0, 1, 5]), 4),
    [0.25, 0, 0.125, 0.625],
  );
  close(
    frequencies(() => Number(random.chance(0.1)), 2),
    [0.9, 0.1],
  );
});

test('shuffling makes every order of three equally likely', () => {
  const random = randomFor(5, 'shuffle');
  const seen = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const items = Uint32Array.of(0, 1, 2);
    random.shuffle(items);
    seen.set(items.join(), (seen.get(items.join()) ?? 0) + 1);
  }
  expect(seen.size).toBe(6);
  for (const times of seen.values()) expect(Math.abs(times - 1000)).toBeLessThan(5 * Math.sqrt(1000));
});
