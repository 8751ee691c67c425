// Losses as numbers: each graph, run by the reference interpreter, against the formula written out here.

import { describe, expect, test } from 'vitest';
import type { Graph } from '../../compiler/graph.js';
import { interpret } from '../../compiler/interpret.js';
import { tensor } from '../../compiler/tensor.js';
import { verify } from '../../compiler/verify.js';
import { type Loss, load } from '../../dsl/index.js';

const SIZE = 4;
const SHAPE = [2, 3, SIZE, SIZE];

/** Numbers in [0, 1) without a pattern. */
function noise(seed: number): number[] {
  return Array.from(
    { length: 2 * 3 * SIZE * SIZE },
    (_, i) => (Math.sin((i + 1) * 12.9898 + seed) * 43758.5453) % 1,
  ).map(Math.abs);
}

const SR = noise(1);
const HR = noise(2);
const USM = noise(3);

/** The critic is the image's mean colour, one logit per sample, so that its value is easy to say. */
const WEIGHT = [0.7, -1.1, 0.4];
const HEAD = `generator g : (3, h, w) -> (3, h, w) { conv(3) }
discriminator d : (3, ${SIZE}, ${SIZE}) -> (1, 1, 1) { avgpool(${SIZE}); conv(1, kernel=1, bias=false) }
perception p : (3, h, w) { scale(2); twice = relu; half = scale(0.25) }
`;

function lossOf(text: string): Loss {
  const { losses } = load({ name: 'mine.sr', text: `${HEAD}loss it = ${text}\n` });
  return losses.find((loss) => loss.name === 'it')!;
}

/** The values of the outputs. */
function valuesOf(graph: Graph): number[] {
  verify(graph, graph.name);
  const values = interpret(
    graph,
    new Map([
      ['%sr', tensor(SHAPE, SR)],
      ['%hr', tensor(SHAPE, HR)],
      ['%usm', tensor(SHAPE, USM)],
      ['@d.conv.weight', tensor([1, 3, 1, 1], WEIGHT)],
    ]),
  );
  for (const { shape } of values) expect(shape).toEqual([]);
  return values.map(({ data }) => data[0]!);
}

function scalarOf(graph: Graph): number {
  return valuesOf(graph)[0]!;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const each = (f: (sr: number, hr: number) => number) => mean(SR.map((sr, i) => f(sr, HR[i]!)));
const softplus = (x: number) => Math.log(1 + Math.exp(x));
const bce = (logits: readonly number[], target: number) => mean(logits.map((x) => softplus(x) - target * x));

function critic(image: readonly number[]): number[] {
  const plane = SIZE * SIZE;
  return [0, 1].map((n) =>
    WEIGHT.reduce(
      (sum, w, c) => sum + w * mean(image.slice((n * 3 + c) * plane, (n * 3 + c + 1) * plane)),
      0,
    ),
  );
}

const FAKE = critic(SR);
const REAL = critic(HR);
const minus = (logits: readonly number[], by: number) => logits.map((x) => x - by);

function variation(image: readonly number[], step: number, keep: (i: number) => boolean): number {
  const pairs = image.flatMap((value, i) => (keep(i) ? [Math.abs(image[i + step]! - value)] : []));
  return mean(pairs);
}

describe('pixel losses', () => {
  test.each([
    ['l1', each((a, b) => Math.abs(a - b))],
    ['mse', each((a, b) => (a - b) ** 2)],
    ['charbonnier', each((a, b) => Math.sqrt((a - b) ** 2 + 1e-6))],
    ['charbonnier(eps=0.1)', each((a, b) => Math.sqrt((a - b) ** 2 + 0.01))],
    [
      'tv',
      variation(SR, 1, (i) => i % SIZE < SIZE - 1) +
        variation(SR, SIZE, (i) => i % (SIZE * SIZE) < SIZE * (SIZE - 1)),
    ],
  ])('%s', (text, expected) => {
    const loss = lossOf(text);
    expect(scalarOf(loss.generator)).toBeCloseTo(expected, 12);
    expect(loss.discriminator).toBeUndefined();
    expect(loss.networks).toEqual([]);
  });
});

describe('arithmetic', () => {
  const m = mean(SR);
  test.each([
    ['mean(2 - sr)', 2 - m],
    ['mean(1 / (sr + 1))', each((a) => 1 / (a + 1))],
    ['mean(sr / (hr + 1))', each((a, b) => a / (b + 1))],
    ['mean(mean(sr) - hr)', m - mean(HR)],
    ['mean(mean(sr) / (hr + 1))', each((_, b) => m / (b + 1))],
    ['mean(mean(sr) * hr)', m * mean(HR)],
    ['mean(sr^3) + mean(sr^4) + mean(sr^0.5) + mean(sr^1)', each((a) => a ** 3 + a ** 4 + Math.sqrt(a) + a)],
    ['-mean(sr) + 3 * 2^2 - mean(sr - 1)', -m + 12 - (m - 1)],
    ['mean(max(sr, 0.5)) + mean(max(sr, hr))', each((a, b) => Math.max(a, 0.5) + Math.max(a, b))],
    [
      'mean(min(sr, 0.5)) + mean(min(0.25, sr)) + mean(min(sr, hr))',
      each((a, b) => Math.min(a, 0.5) + Math.min(a, 0.25) + Math.min(a, b)),
    ],
    ['mean(max(mean(sr), sr)) + mean(min(mean(sr), sr))', each((a) => Math.max(m, a) + Math.min(m, a))],
    ['mean(sigmoid(sr)) + mean(softplus(sr))', each((a) => 1 / (1 + Math.exp(-a)) + softplus(a))],
    ['mean(exp(sr)) + mean(log(sr + 1))', each((a) => Math.exp(a) + Math.log(a + 1))],
    ['sum(square(sr)) + max(2, 3) * sqrt(4) * mean(detach(sr))', SR.reduce((s, a) => s + a * a, 0) + 6 * m],
    ['bce(sr, 0.3)', mean(SR.map((x) => softplus(x) - 0.3 * x))],
    ['bce(sr, hr)', each((a, b) => softplus(a) - b * a)],
  ])('%s', (text, expected) => {
    expect(scalarOf(lossOf(text).generator)).toBeCloseTo(expected, 10);
  });

  test('detach(x, false) is x', () => {
    const ops = lossOf('mean(detach(sr, false))').generator.nodes.map((node) => node.op);
    expect(ops).toEqual(['reduce_mean']);
  });
});

describe('perceptual losses', () => {
  const twice = (x: number) => Math.max(2 * x, 0);
  test.each([
    ['perceptual(p.twice)', each((a, b) => Math.abs(twice(a) - twice(b)))],
    ['perceptual(p.half, mse)', each((a, b) => (twice(a) / 4 - twice(b) / 4) ** 2)],
    ['perceptual(p, charbonnier(0.5))', each((a, b) => Math.sqrt(((a - b) / 2) ** 2 + 0.25))],
    ['mean(p.twice(sr))', each(twice)],
    ['l1(hr, p.twice(sr))', each((a, b) => Math.abs(b - twice(a)))],
  ])('%s', (text, expected) => {
    expect(scalarOf(lossOf(text).generator)).toBeCloseTo(expected, 12);
  });

  test('a network is lowered no further than its tap', () => {
    const { generator } = lossOf('mean(p.twice(sr))');
    expect(generator.nodes.map((node) => node.op)).toEqual(['scale', 'relu', 'reduce_mean']);
  });
});

describe('adversarial losses', () => {
  const relativistic = (real: number, fake: number) =>
    (bce(minus(REAL, mean(FAKE)), real) + bce(minus(FAKE, mean(REAL)), fake)) / 2;

  test.each([
    ['gan(d)', bce(FAKE, 1), bce(REAL, 1) + bce(FAKE, 0)],
    [
      'lsgan(d)',
      mean(FAKE.map((x) => (x - 1) ** 2)),
      mean(REAL.map((x) => (x - 1) ** 2)) + mean(FAKE.map((x) => x * x)),
    ],
    [
      'hinge(d)',
      -mean(FAKE),
      mean(REAL.map((x) => Math.max(1 - x, 0))) + mean(FAKE.map((x) => Math.max(1 + x, 0))),
    ],
    ['ragan(d)', relativistic(0, 1), relativistic(1, 0)],
    ['ragan(d, detach_mean=true)', relativistic(0, 1), relativistic(1, 0)],
  ])('%s', (text, generator, discriminator) => {
    const loss = lossOf(text);
    expect(scalarOf(loss.generator)).toBeCloseTo(generator, 10);
    expect(scalarOf(loss.discriminator!)).toBeCloseTo(discriminator, 10);
    expect(loss.networks).toEqual(['d']);
  });

  test('weights and other terms are the generator’s alone', () => {
    const loss = lossOf('5e-3 * ragan(d) + 1e-2 * l1');
    const l1 = each((a, b) => Math.abs(a - b));
    expect(scalarOf(loss.generator)).toBeCloseTo(5e-3 * relativistic(0, 1) + 1e-2 * l1, 10);
    expect(scalarOf(loss.discriminator!)).toBeCloseTo(relativistic(1, 0), 10);
  });

  test('detach_mean cuts the means in the discriminator’s step only', () => {
    const detached = lossOf('ragan(d, detach_mean=true)');
    const count = (graph: Graph) => graph.nodes.filter((node) => node.op === 'detach').length;
    expect([count(detached.generator), count(detached.discriminator!)]).toEqual([0, 2]);
    expect(count(lossOf('ragan(d)').discriminator!)).toBe(0);
  });

  test('a user’s own loss may have players too', () => {
    const text = `${HEAD}loss wgan(critic) {
  generator = -mean(critic(sr))
  discriminator = mean(critic(sr)) - mean(critic(hr))
}
loss it = 0.1 * wgan(d)
`;
    const loss = load({ name: 'mine.sr', text }).losses[0]!;
    expect(scalarOf(loss.generator)).toBeCloseTo(-0.1 * mean(FAKE), 12);
    expect(scalarOf(loss.discriminator!)).toBeCloseTo(mean(FAKE) - mean(REAL), 12);
  });
});

test('without a recipe or a critic of fixed size, a loss is of any size', () => {
  const text = 'generator g : (3, h, w) -> (3, h, w) { conv(3) }\nloss it = l1 + tv\n';
  const [loss] = load({ name: 'mine.sr', text }).losses;
  expect(loss!.generator.inputs[0]!.type.shape).toMatchObject([{ sym: 'n' }, 3, { sym: 'h' }, { sym: 'w' }]);
});

describe('terms', () => {
  const terms = (text: string) => lossOf(text).terms.generator;

  test.each([
    ['l1', []],
    ['0.5 * (l1 + mse)', []],
    ['1.0*perceptual(p.twice)+  5e-3 * ragan( d )', ['1.0 * perceptual(p.twice)', '5e-3 * ragan(d)']],
    ['l1 + (mse - 2 * (tv - l1))', ['l1', 'mse', '-2 * (tv - l1)']],
    ['l1 - (mse - tv) + 3', ['l1', '-mse', 'tv']],
    // The total variation is two terms already.
    ['tv', ['mean(abs(dx(sr)))', 'mean(abs(dy(sr)))']],
  ])('%s', (text, expected) => {
    expect(terms(text)).toEqual(expected);
  });

  test('are outputs that add up to the first', () => {
    const { generator } = lossOf('l1 - 2 * (mse - tv) + 5e-3 * ragan(d)');
    const [total, ...parts] = valuesOf(generator);
    expect(parts).toHaveLength(3);
    expect(parts.reduce((a, b) => a + b, 0)).toBeCloseTo(total!, 12);
    expect(parts[0]).toBeCloseTo(
      each((a, b) => Math.abs(a - b)),
      12,
    );
  });

  test('a loss that is only named is told by what it says, one in a sum by its name', () => {
    const text = `${HEAD}loss pixels = l1 + mse\nloss all = pixels\nloss more = pixels + tv\n`;
    const { losses } = load({ name: 'mine.sr', text });
    expect(losses.map(({ terms }) => terms.generator)).toEqual([
      ['l1', 'mse'],
      ['l1', 'mse'],
      ['pixels', 'tv'],
    ]);
  });

  test('the discriminator’s are what its real and its fake images cost', () => {
    const { discriminator, terms } = lossOf('l1 + 0.1 * gan(d)');
    expect(terms.discriminator).toEqual(['bce(d(hr), 1)', 'bce(d(sr), 0)']);
    const [, real, fake] = valuesOf(discriminator!);
    expect(real).toBeCloseTo(bce(REAL, 1), 12);
    expect(fake).toBeCloseTo(bce(FAKE, 0), 12);
  });
});

describe('a network is applied to a value once', () => {
  const convs = (graph: Graph) => graph.nodes.filter(({ op }) => op === 'conv2d').length;

  test('in an objective with several losses of one critic', () => {
    const { generator, discriminator } = lossOf('gan(d) + ragan(d) + 2 * ragan(d, detach_mean=true)');
    expect([convs(generator), convs(discriminator!)]).toEqual([2, 2]);
  });

  test('up to the deepest of its taps, in whatever order they come', () => {
    const { generator } = lossOf('perceptual(p.half) + perceptual(p.twice) + perceptual(p, mse)');
    const ops = generator.nodes.map((node) => node.op).filter((op) => op !== 'scale');
    expect(ops.filter((op) => op === 'relu')).toHaveLength(2);
    expect(scalarOf(generator)).toBeCloseTo(
      each((a, b) => 2.5 * Math.abs(a - b) + ((a - b) / 2) ** 2),
      12,
    );
  });
});

describe('the sharpened original', () => {
  test('is an input of its own', () => {
    const loss = lossOf('l1(sr, usm(hr)) + gan(d)');
    expect(loss.sharpened).toBe(true);
    expect(loss.generator.inputs.map(({ ref }) => ref)).toEqual(['%sr', '%hr', '%usm']);
    expect(loss.discriminator!.inputs.map(({ ref }) => ref)).toEqual(['%sr', '%hr']);
    const [, l1] = valuesOf(loss.generator);
    expect(l1).toBeCloseTo(mean(SR.map((a, i) => Math.abs(a - USM[i]!))), 12);
  });

  test('takes the place of `hr` in a loss of several layers', () => {
    const text = `${HEAD}loss features = perceptual(p.twice) + perceptual(p.half)\nloss it = features(sr, usm(hr))\n`;
    const [, it] = load({ name: 'mine.sr', text }).losses;
    expect(scalarOf(it!.generator)).toBeCloseTo(2.5 * mean(SR.map((a, i) => Math.abs(a - USM[i]!))), 12);
    expect(it!.terms.generator).toEqual([]);
  });

  test('is there only where it is asked for', () => {
    expect(lossOf('l1').sharpened).toBe(false);
  });
});
