// The benchmark's own arithmetic: what peers are given is the same network, and what is wrong does not count.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compare, isWrong } from '../../bench/accuracy.js';
import { channelsLast, planes, reduced, testImage } from '../../bench/images.js';
import { netOf } from '../../bench/net.js';
import { inferenceMemory } from '../../bench/overhead/memory.js';
import { pairedRatio, spread } from '../../bench/stats.js';
import { compile, load, planFor } from '../../index.js';
import { stageNamed, stepSpec } from '../../train/stages.js';
import { graphSource } from '../shared.js';

function countOps(layers: readonly { readonly op: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of layers) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

describe('nets for other tools', () => {
  test('a convolution takes its bias in', () => {
    const { graph } = compile(graphSource('compact.sr')).network;
    const net = netOf(graph);
    expect(countOps(net.layers)).toEqual({
      conv: 18,
      prelu: 17,
      pixel_shuffle: 1,
      upsample_nearest: 1,
      add: 1,
    });
    expect(net.layers.filter(({ op }) => op === 'conv').every(({ inputs }) => inputs.length === 3)).toBe(
      true,
    );
  });

  test('a critic in training consists of convolutions, batch norms and linear layers', () => {
    const name = 'bench/networks/gan.sr';
    const text = readFileSync(join(import.meta.dirname, '../..', name), 'utf8');
    const program = load({ name, text }, { set: { wide: 4, features: 4, growth: 4, blocks: 1 } });
    const { discriminator } = stepSpec(program, stageNamed(program, 'gan'), 'f32').loss;
    const net = netOf(discriminator!);
    // Twice: once for the original, once for the generator's image.
    expect(countOps(net.layers)).toMatchObject({ conv: 20, batch_norm: 18, linear: 4, lrelu: 22 });
    expect(net.params.some(({ name }) => name.includes('running'))).toBe(false);
  });
});

describe('accuracy', () => {
  const right = Float32Array.of(0, 0.5, 1);

  test('a difference is the largest, and PSNR against the peak', () => {
    const { largest, psnr } = compare(Float32Array.of(0, 0.5, 0.9), right);
    expect(largest).toBeCloseTo(0.1);
    expect(psnr).toBeCloseTo(10 * Math.log10(3 / 0.01), 4);
  });

  test('what claims f32 may not be off by what f16 may', () => {
    const rough = compare(
      right.map((value) => value + 1e-3),
      right,
    );
    expect([isWrong(rough, 'f16'), isWrong(rough, 'f32')]).toEqual([false, true]);
  });

  test('NaN is wrong', () => {
    expect(isWrong(compare(Float32Array.of(Number.NaN, 0.5, 1), right), '8 bits')).toBe(true);
  });
});

test('ratios are those of rounds, whatever else the machine did meanwhile', () => {
  expect(pairedRatio([20, 2000, 40], [10, 1000, 20])).toBe(2);
  expect(spread([3, 1, 2, 10])).toEqual({ median: 2.5, min: 1, max: 10 });
});

test('images go from planes to pixels and back', () => {
  const { data } = testImage(6, 4);
  expect(planes(channelsLast(data, [1, 3, 4, 6], 3))).toEqual(data);
  expect(channelsLast(data, [1, 3, 4, 6])[4]).toBe(data[1]);
  const flat = reduced({ width: 4, height: 4, data: new Float32Array(48).fill(0.25) }, 2);
  expect(flat).toEqual({ width: 2, height: 2, data: new Float32Array(12).fill(0.25) });
});

test('no plan needs less than what lives at the same time', () => {
  const plan = planFor(compile(graphSource('esrgan-anime.sr')));
  const { naive, planned, bound } = inferenceMemory(plan, { height: 64, width: 64 });
  expect(bound).toBeLessThanOrEqual(planned);
  expect(planned).toBeLessThan(naive);
});
