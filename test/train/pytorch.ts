// The fixtures that PyTorch made (test/fixtures/pytorch/make.py): the numbers both sides start from, by the formulas of
// values.py there, and PyTorch's answers.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Graph } from '../../compiler/graph.js';
import { randomSource } from '../../compiler/random.js';
import { sizeOf, type Tensor } from '../../compiler/tensor.js';
import { load, type Program } from '../../dsl/index.js';
import { readSafetensors } from '../../formats/safetensors.js';
import type { WeightFile } from '../../formats/weights.js';

const FOLDER = join(import.meta.dirname, '../fixtures/pytorch');

export function program(name: string): Program {
  const file = `${name}.sr`;
  return load({ name: file, text: readFileSync(join(FOLDER, file), 'utf8') });
}

export function answers(name: string): WeightFile {
  const file = `${name}.safetensors`;
  return readSafetensors(file, readFileSync(join(FOLDER, file)));
}

/** FNV-1a, 32 bits. */
function hashed(name: string): number {
  return [...new TextEncoder().encode(name)].reduce(
    (value, byte) => Math.imul(value ^ byte, 0x01000193) >>> 0,
    0x811c9dc5,
  );
}

/** Numbers in [0, 1) that depend on the name alone. */
export function image(name: string, shape: readonly number[]): Tensor {
  const random = randomSource(hashed(name));
  return { shape, data: Float64Array.from({ length: sizeOf(shape) }, () => Math.fround(random())) };
}

/** The first value of a network's tensor. */
export function start(name: string, shape: readonly number[]): Tensor {
  const [, ...inputs] = shape;
  const scale = /\.(weight|running_var)$/.test(name);
  const centre = inputs.length === 0 && scale ? 0.75 : 0;
  const spread = inputs.length === 0 ? 0.25 : Math.sqrt(3 / sizeOf(inputs));
  const random = randomSource(hashed(name));
  const value = () => Math.fround(centre + spread * (2 * random() - 1));
  return { shape, data: Float64Array.from({ length: sizeOf(shape) }, value) };
}

/** First values of a graph's parameters, by ref; `prefix` is what PyTorch's side calls the network. */
export function startOf(graph: Graph, prefix = ''): Map<string, Tensor> {
  return new Map(
    graph.params.map(({ ref, type }) => [ref, start(prefix + ref.slice(1), type.shape as number[])]),
  );
}

/** What stands for zero: a gradient that vanishes in exact arithmetic is some 1e-17. */
const LEAST = 1e-9;

/** The largest difference in units of the largest expected value. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  const span = Math.max(LEAST, ...Array.from(expected, Math.abs));
  const largest = Math.max(...Array.from(expected, (value, i) => Math.abs(value - actual[i]!)));
  return largest / span;
}
