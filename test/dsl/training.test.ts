// The training form of networks against plain loops: batch statistics, power iterations, and what becomes of the state.

import { describe, expect, test } from 'vitest';
import type { Graph, Ref } from '../../compiler/graph.js';
import { interpret } from '../../compiler/interpret.js';
import { randomSource } from '../../compiler/random.js';
import { sizeOf, type Tensor } from '../../compiler/tensor.js';
import { verify } from '../../compiler/verify.js';
import { load } from '../../dsl/index.js';

function random(shape: readonly number[], seed: number): Tensor {
  const next = randomSource(seed);
  return { shape, data: Float64Array.from({ length: sizeOf(shape) }, () => 2 * next() - 1) };
}

/** Outputs, then the new values of the state by name. */
function run(graph: Graph, values: ReadonlyMap<Ref, Tensor>) {
  verify(graph, graph.name);
  const all = { ...graph, outputs: [...graph.outputs, ...graph.updates.map(({ value }) => value)] };
  const results = interpret(all, values);
  const state = graph.updates.map(
    ({ param }, i) => [param, results[graph.outputs.length + i]!.data] as const,
  );
  return { output: results[0]!.data, state: new Map(state) };
}

function expectClose(actual: Float64Array | undefined, expected: readonly number[]) {
  expect(actual).toHaveLength(expected.length);
  actual!.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 10);
  });
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe('batch normalisation', () => {
  const [N, C, PLANE] = [2, 3, 6];
  const [EPS, MOMENTUM] = [1e-3, 0.3];
  const head = 'generator g : (3, h, w) -> (3, h, w) { conv(3) }\n';
  const text = `generator g : (3, h, w) -> (3, h, w) { batchnorm(eps=${EPS}, momentum=${MOMENTUM}) }\n`;
  const x = random([N, C, 3, 2], 1);
  const values = new Map<Ref, Tensor>([
    ['%x', x],
    ['@batchnorm.weight', random([C], 2)],
    ['@batchnorm.bias', random([C], 3)],
    ['@batchnorm.running_mean', random([C], 4)],
    ['@batchnorm.running_var', { shape: [C], data: Float64Array.of(0.5, 1.5, 2) }],
  ]);
  const at = (ref: Ref, c: number) => values.get(ref)!.data[c]!;

  function statistics(image: Tensor, c: number) {
    const own = range(N).flatMap((n) => [...image.data].slice((n * C + c) * PLANE, (n * C + c + 1) * PLANE));
    const mean = sum(own) / own.length;
    const squares = sum(own.map((value) => (value - mean) ** 2));
    return { mean, biased: squares / own.length, unbiased: squares / (own.length - 1) };
  }
  const blend = (old: number, value: number) => (1 - MOMENTUM) * old + MOMENTUM * value;

  test('normalises with the batch’s statistics and remembers them, the variance unbiased', () => {
    const [network] = load({ name: 'mine.sr', text }).networks;
    const { output, state } = run(network!.training, values);
    expectClose(
      output,
      [...x.data].map((value, i) => {
        const c = Math.floor(i / PLANE) % C;
        const { mean, biased } = statistics(x, c);
        const normal = (value - mean) / Math.sqrt(biased + EPS);
        return normal * at('@batchnorm.weight', c) + at('@batchnorm.bias', c);
      }),
    );
    expect([...state.keys()]).toEqual(['@batchnorm.running_mean', '@batchnorm.running_var']);
    expectClose(
      state.get('@batchnorm.running_mean'),
      range(C).map((c) => blend(at('@batchnorm.running_mean', c), statistics(x, c).mean)),
    );
    expectClose(
      state.get('@batchnorm.running_var'),
      range(C).map((c) => blend(at('@batchnorm.running_var', c), statistics(x, c).unbiased)),
    );
  });

  test('inference uses what is remembered, and changes nothing', () => {
    const [network] = load({ name: 'mine.sr', text }).networks;
    const { output, state } = run(network!.graph, values);
    expect(state.size).toBe(0);
    const c = 1;
    const scale = at('@batchnorm.weight', c) / Math.sqrt(at('@batchnorm.running_var', c) + EPS);
    expect(output[PLANE]).toBeCloseTo(
      (x.data[PLANE]! - at('@batchnorm.running_mean', c)) * scale + at('@batchnorm.bias', c),
      10,
    );
  });

  test('a critic that sees two images remembers the first, then the second', () => {
    const critic = `discriminator d : (3, h, w) -> (3, h, w) { batchnorm(momentum=${MOMENTUM}) }\nloss a = gan(d)\n`;
    const [loss] = load({ name: 'mine.sr', text: head + critic }).losses;
    const hr = random([N, C, 3, 2], 5);
    const named = [...values].map(([ref, value]) => [ref.replace('@', '@d.'), value] as const);
    const { state } = run(loss!.discriminator!, new Map([...named, ['%sr', x], ['%hr', hr]]));
    // gan(d) speaks of d(hr) first.
    const means = range(C).map((c) => {
      const first = blend(at('@batchnorm.running_mean', c), statistics(hr, c).mean);
      return blend(first, statistics(x, c).mean);
    });
    expectClose(state.get('@d.batchnorm.running_mean'), means);
    expect(state.size).toBe(2);
  });

  test('a perception network is never trained: its statistics are the stored ones', () => {
    const text = `${head}perception p : (3, h, w) { batchnorm; relu }\nloss a = perceptual(p)\n`;
    const { networks, losses } = load({ name: 'mine.sr', text });
    expect(networks[1]!.training).toBe(networks[1]!.graph);
    expect(losses[0]!.generator.updates).toEqual([]);
  });

  test('without state there is one form', () => {
    const [network] = load({ name: 'mine.sr', text: head }).networks;
    expect(network!.training).toBe(network!.graph);
  });
});

describe('spectral normalisation', () => {
  const [O, I, K] = [4, 3, 3];
  const COLUMNS = I * K * K;
  const text = `generator g : (3, h, w) -> (4, h, w) { conv(${O}, spectral=true, bias=false) }\n`;
  const weight = random([O, I, K, K], 1);
  const values = new Map<Ref, Tensor>([
    ['%x', random([1, I, 4, 5], 2)],
    ['@conv.weight_orig', weight],
    ['@conv.weight_u', random([O], 3)],
    ['@conv.weight_v', random([COLUMNS], 4)],
  ]);
  const W = range(O).map((o) => [...weight.data].slice(o * COLUMNS, (o + 1) * COLUMNS));
  const unit = (v: readonly number[]) => v.map((value) => value / Math.max(Math.hypot(...v), 1e-12));
  const dot = (a: readonly number[], b: readonly number[]) => sum(a.map((value, i) => value * b[i]!));

  /** One step, from torch.nn.utils.spectral_norm. */
  function step(from: readonly number[]) {
    const v = unit(range(COLUMNS).map((j) => sum(range(O).map((o) => W[o]![j]! * from[o]!))));
    const Wv = W.map((row) => dot(row, v));
    const u = unit(Wv);
    return { u, v, sigma: dot(u, Wv) };
  }

  /** The output that a conv by the weight over `sigma` gives. */
  function convolved(sigma: number): number[] {
    const plain = load({ name: 'mine.sr', text: text.replace(', spectral=true', '') }).networks[0]!.graph;
    const { output } = run(plain, new Map([...values, ['@conv.weight', weight]]));
    return [...output].map((value) => value / sigma);
  }

  test('parameters as torch names them; u and v begin as random unit vectors', () => {
    const { params } = load({ name: 'mine.sr', text }).networks[0]!.graph;
    expect(params.map(({ ref, type, init, trainable }) => [ref, type.shape, init.kind, trainable])).toEqual([
      ['@conv.weight_orig', [O, I, K, K], 'torch', true],
      ['@conv.weight_u', [O], 'unit', false],
      ['@conv.weight_v', [COLUMNS], 'unit', false],
    ]);
  });

  test('training takes one step of the power iteration', () => {
    const [network] = load({ name: 'mine.sr', text }).networks;
    const { output, state } = run(network!.training, values);
    const { u, v, sigma } = step([...values.get('@conv.weight_u')!.data]);
    expectClose(output, convolved(sigma));
    expectClose(state.get('@conv.weight_u'), u);
    expectClose(state.get('@conv.weight_v'), v);
  });

  test('inference takes none: it uses u and v as stored', () => {
    const [network] = load({ name: 'mine.sr', text }).networks;
    const { u, v, sigma } = step([...values.get('@conv.weight_u')!.data]);
    const stored = new Map([
      ...values,
      ['@conv.weight_u', { shape: [O], data: Float64Array.from(u) }] as const,
      ['@conv.weight_v', { shape: [COLUMNS], data: Float64Array.from(v) }] as const,
    ]);
    const { output, state } = run(network!.graph, stored);
    expectClose(output, convolved(sigma));
    expect(state.size).toBe(0);
  });

  test('a second application in one graph takes the second step', () => {
    const critic = `${text.replace('generator g', 'discriminator d')}loss a = gan(d)\n`;
    const generator = 'generator g : (3, h, w) -> (3, h, w) { conv(3) }\n';
    const [loss] = load({ name: 'mine.sr', text: generator + critic }).losses;
    const named = [...values].map(([ref, value]) => [ref.replace('@', '@d.'), value] as const);
    const images = ['%sr', '%hr'].map((ref, i) => [ref, random([1, I, 4, 5], 7 + i)] as const);
    const { state } = run(loss!.discriminator!, new Map([...named, ...images]));
    expectClose(state.get('@d.conv.weight_u'), step(step([...values.get('@conv.weight_u')!.data]).u).u);
  });

  test('a matrix product and a 1x1 convolution too', () => {
    const body = 'conv(2, kernel=1, spectral=true); linear(1, spectral=true)';
    const critic = `generator g : (3, h, w) -> (3, h, w) { conv(3) }\ndiscriminator d : (3, 4, 4) -> (1, 1, 1) { ${body} }\n`;
    const { training } = load({ name: 'mine.sr', text: critic }).networks[1]!;
    verify(training, 'training');
    expect(training.updates.map(({ param }) => param)).toEqual([
      '@conv.weight_u',
      '@conv.weight_v',
      '@linear.weight_u',
      '@linear.weight_v',
    ]);
  });
});
