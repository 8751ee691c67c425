// Every loss of the library, for both players, through small networks in training form: the gradients that the
// compiler derives against finite differences in one random direction of all parameters and the image.

import { describe, expect, test } from 'vitest';
import { differentiate } from '../../compiler/differentiate.js';
import type { Graph, Ref } from '../../compiler/graph.js';
import { concrete, interpret } from '../../compiler/interpret.js';
import { randomSource } from '../../compiler/random.js';
import { sizeOf, type Tensor } from '../../compiler/tensor.js';
import { load } from '../../dsl/index.js';

const BATCH = 3;
const STEP = 1e-5;

const next = randomSource(11);

/** Of numbers in [-1, 1], small enough that layers keep the size of what enters them; variances in [0.5, 1.5]. */
function random(shape: readonly number[], positive: boolean): Tensor {
  const fanIn = Math.max(1, sizeOf(shape.slice(1)));
  const spread = shape.length === 4 ? Math.sqrt(3 / fanIn) : 0.5;
  const data = Float64Array.from(
    { length: sizeOf(shape) },
    () => (positive ? 1 : 0) + spread * (2 * next() - 1),
  );
  return { shape, data };
}

function valuesFor(graph: Graph): Map<Ref, Tensor> {
  const inputs = graph.inputs.map(({ ref, type }) => {
    const shape = concrete(type, { n: BATCH, h: 8, w: 8 });
    const data = Float64Array.from({ length: sizeOf(shape) }, next);
    return [ref, { shape, data }] as const;
  });
  const params = graph.params.map(
    ({ ref, type }) => [ref, random(concrete(type, {}), /running_var|norm\.weight/.test(ref))] as const,
  );
  return new Map([...inputs, ...params]);
}

/** The graph with what it detaches as inputs, which have the values they have at this point. */
function withConstants(graph: Graph, values: ReadonlyMap<Ref, Tensor>) {
  const detached = graph.nodes.filter(({ op }) => op === 'detach');
  const constants = interpret({ ...graph, outputs: detached.map(({ ref }) => ref) }, values);
  return {
    graph: {
      ...graph,
      inputs: [...graph.inputs, ...detached.map(({ ref, type }) => ({ ref, type }))],
      nodes: graph.nodes.filter(({ op }) => op !== 'detach'),
    },
    values: new Map([...values, ...detached.map(({ ref }, i) => [ref, constants[i]!] as const)]),
  };
}

const moved = (x: Tensor, along: Tensor, by: number): Tensor => ({
  shape: x.shape,
  data: x.data.map((value, i) => value + by * along.data[i]!),
});

function expectGradient(objective: Graph, wrt: readonly Ref[]) {
  const graph = { ...objective, outputs: objective.outputs.slice(0, 1) };
  const values = valuesFor(graph);
  const [loss, ...gradients] = interpret(differentiate(graph, wrt), values);
  expect(Number.isFinite(loss!.data[0])).toBe(true);

  const directions = wrt.map((ref) => random(values.get(ref)!.shape, false));
  const slope = gradients.reduce(
    (total, { data }, i) => total + data.reduce((sum, value, j) => sum + value * directions[i]!.data[j]!, 0),
    0,
  );
  const constant = withConstants(graph, values);
  const at = (by: number) => {
    const there = wrt.map((ref, i) => [ref, moved(values.get(ref)!, directions[i]!, by)] as const);
    return interpret(constant.graph, new Map([...constant.values, ...there]))[0]!.data[0]!;
  };
  const expected = (at(STEP) - at(-STEP)) / (2 * STEP);
  expect(Math.abs(slope)).toBeGreaterThan(1e-7);
  expect(Math.abs(slope - expected) / Math.abs(expected)).toBeLessThan(1e-4);
}

/** Networks small enough for the reference; `p` has the names of VGG19 that presets use. */
const HEAD = `generator g : (3, h, w) -> (3, h, w) { conv(3) }
discriminator d : (3, h, w) -> (1, h, w) { conv(4); batchnorm; lrelu(0.2); conv(1, spectral=true) }
perception p : (3, h, w) {
  conv1_2 = conv(4); relu
  conv2_2 = conv(4); relu2_2 = relu
  conv3_4 = conv(4); relu; conv4_4 = conv(4); relu
  pool4 = maxpool(2)
  conv5_4 = conv(4); relu5_4 = relu
}
`;

function lossOf(text: string, head = HEAD) {
  const { losses } = load({ name: 'mine.sr', text: `${head}loss it = ${text}\n` });
  return losses.find(({ name }) => name === 'it')!;
}

const trained = (graph: Graph, network: string) =>
  graph.params
    .filter(({ ref, trainable }) => trainable && ref.startsWith(`@${network}.`))
    .map(({ ref }) => ref);

describe('losses of images', () => {
  test.each([
    'l1',
    'mse',
    'charbonnier',
    'tv',
    'l1(sr, usm(hr))',
    'perceptual(p.conv3_4)',
    'srgan_vgg22(p)',
    'srgan_vgg54(p)',
    '1e4 * tensorlayer_vgg(p)',
    'esrgan_features(p)',
    'realesrgan_features(p)',
  ])('%s', (text) => {
    expectGradient(lossOf(text).generator, ['%sr']);
  });
});

describe('losses of two players', () => {
  test.each(['gan(d)', 'lsgan(d)', 'hinge(d)', 'ragan(d)', 'ragan(d, detach_mean=true)'])('%s', (text) => {
    const { generator, discriminator } = lossOf(`l1 + ${text}`);
    expectGradient(generator, ['%sr']);
    expectGradient(discriminator!, trained(discriminator!, 'd'));
  });
});

describe('discriminators of the library', () => {
  test.each([
    ['vgg128(features=2)', 'ragan(d)', 32],
    ['unet(features=2)', 'gan(d)', 8],
  ])('%s', (network, loss, patch) => {
    const head = `generator g : (3, h, w) -> (3, h, w) { conv(3) }
discriminator d = ${network}
train { degrade: bicubic(1); patch: ${patch}; batch: 1; stage a { minimize: it; steps: 1; adam(lr=1) } }
`;
    const { generator, discriminator } = lossOf(loss, head);
    expectGradient(generator, ['%sr']);
    expectGradient(discriminator!, trained(discriminator!, 'd'));
  });
});
