// The graphs that ship, against the published integers of the networks they describe.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Graph } from '../../compiler/graph.js';
import { layersOf } from '../../compiler/layers.js';
import { format } from '../../dsl/format.js';
import { load, type Program, parse } from '../../dsl/index.js';
import { LIBRARY } from '../../dsl/library/index.js';
import { printDim } from '../../runtime/dims.js';

const shipped = new Map<string, Program>();

function ship(file: string, set: Readonly<Record<string, number>> = {}): Program {
  const key = file + JSON.stringify(set);
  const text = readFileSync(new URL(`../../graphs/${file}`, import.meta.url), 'utf8');
  const program = shipped.get(key) ?? load({ name: `graphs/${file}`, text }, { set });
  shipped.set(key, program);
  return program;
}

function network(program: Program, role: string) {
  return program.networks.find((candidate) => candidate.role === role)!;
}

function parameters(graph: Graph): number {
  const sizes = graph.params.filter((param) => param.trainable).map(({ type }) => type.shape.map(Number));
  return sizes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

function count(graph: Graph, op: string): number {
  return graph.nodes.filter((node) => node.op === op).length;
}

function names(graph: Graph): string[] {
  return graph.params.map((param) => param.ref);
}

describe('generators', () => {
  test.each([
    ['esrgan.sr', {}, 16_697_987, 351, 4],
    ['esrgan-anime.sr', {}, 4_467_779, 96, 4],
    ['realesrgan-x2.sr', {}, 16_703_171, 351, 2],
    // The x1 network folds to a quarter: 48 input channels instead of 3.
    ['realesrgan-x2.sr', { scale: 1 }, 16_697_987 + 45 * 64 * 9, 351, 1],
    ['srgan.sr', {}, 1_548_547, 37, 4],
    ['msrresnet.sr', {}, 1_517_571, 37, 4],
    ['compact.sr', {}, 621_424, 18, 4],
    ['compact.sr', { convs: 32 }, 1_213_296, 34, 4],
    ['compact.sr', { scale: 2 }, 621_424 - 36 * 64 * 9 - 36, 18, 2],
  ])('%s %o: %d parameters, %d convolutions, x%d', (file, set, size, convs, scale) => {
    const generator = network(ship(file, set), 'generator');
    expect(parameters(generator.graph)).toBe(size);
    expect(count(generator.graph, 'conv2d')).toBe(convs);
    expect(generator.scale).toBe(scale);
  });

  test('ESRGAN has 702 tensors, named by the rule of paths.ts', () => {
    const { graph } = network(ship('esrgan.sr'), 'generator');
    const refs = names(graph);
    expect(refs).toHaveLength(702);
    expect(new Set(refs).size).toBe(702);
    expect(refs.slice(0, 4)).toEqual([
      '@conv.0.weight',
      '@conv.0.bias',
      '@body.0.rdb.0.conv.0.weight',
      '@body.0.rdb.0.conv.0.bias',
    ]);
    expect(refs).toContain('@body.3.rdb.1.conv.2.weight');
    expect(refs.filter((ref) => !ref.startsWith('@body.')).filter((ref) => ref.endsWith('weight'))).toEqual([
      '@conv.0.weight',
      '@conv.1.weight',
      '@up.0.conv.weight',
      '@up.1.conv.weight',
      '@conv.2.weight',
      '@conv.3.weight',
    ]);
  });

  test('one block keeps its number', () => {
    const { graph } = network(ship('esrgan.sr', { blocks: 1 }), 'generator');
    expect(names(graph)).toContain('@body.0.rdb.2.conv.4.bias');
  });

  test('only the convolutions of dense blocks start at a tenth of kaiming', () => {
    const { graph } = network(ship('esrgan.sr', { blocks: 1 }), 'generator');
    const start = (ref: string) => graph.params.find((param) => param.ref === ref)?.init;
    expect(start('@body.0.rdb.0.conv.1.weight')).toEqual({ kind: 'kaiming', fanIn: 96 * 9, scale: 0.1 });
    expect(start('@body.0.rdb.0.conv.1.bias')).toEqual({ kind: 'constant', value: 0 });
    expect(start('@conv.0.weight')).toEqual({ kind: 'torch', fanIn: 27 });
    expect(start('@conv.0.bias')).toEqual({ kind: 'torch', fanIn: 27 });
  });

  test('a folding network says which sizes it takes', () => {
    const { graph, input, output } = network(ship('realesrgan-x2.sr'), 'generator');
    expect([input, output].map((shape) => shape.map(printDim))).toEqual([
      ['3', 'h', 'w'],
      ['3', '2*h', '2*w'],
    ]);
    expect(graph.nodes[0]!.type.shape.map(printDim)).toEqual(['n', '12', 'h/2', 'w/2']);
  });
});

describe('discriminators and perception networks', () => {
  test.each([
    ['esrgan.sr', 14_499_401, ['1', '1', '1']],
    ['msrresnet.sr', 14_499_401, ['1', '1', '1']],
    ['srgan.sr', 23_563_649, ['1', '1', '1']],
    ['realesrgan-x2.sr', 4_376_897, ['1', 'h', 'w']],
  ])('%s: %d parameters', (file, size, output) => {
    const critic = network(ship(file), 'discriminator');
    expect(parameters(critic.graph)).toBe(size);
    expect(critic.output.map(printDim)).toEqual(output);
  });

  test.each(['srgan.sr', 'esrgan.sr', 'realesrgan-x2.sr'])(
    '%s: the table of layers accounts for every parameter, those of normalisations too',
    (file) => {
      for (const { graph } of ship(file).networks) {
        const rows = layersOf(graph).map((layer) => layer.parameters);
        expect(rows.reduce((a, b) => a + b, 0)).toBe(parameters(graph));
      }
    },
  );

  test('a library discriminator takes the recipe’s patch', () => {
    const head =
      'generator g : (3, h, w) -> (3, 2*h, 2*w) { conv(12); pixelshuffle(2) }\ndiscriminator d = vgg128()\n';
    const recipe = (patch: number) =>
      `train { degrade: bicubic(2); patch: ${patch}; batch: 1; stage a { minimize: l1; steps: 1; adam(lr=1) } }\n`;
    const input = (text: string) => network(load({ name: 'mine.sr', text }), 'discriminator').input;
    expect(input(head)).toEqual([3, 128, 128]);
    expect(input(head + recipe(96))).toEqual([3, 96, 96]);
  });

  test('a matrix product is a convolution over the whole image', () => {
    const { graph } = network(ship('esrgan.sr'), 'discriminator');
    const [first, second] = graph.params.filter((param) => /linear\.\d\.weight/.test(param.ref));
    expect(first!.type.shape).toEqual([100, 512, 4, 4]);
    expect(second!.type.shape).toEqual([1, 100, 1, 1]);
  });

  test('VGG19 names torchvision’s layers', () => {
    const vgg = network(ship('esrgan.sr'), 'perception');
    expect(vgg.weights).toBe('vgg19.safetensors');
    // torchvision's vgg19.features up to the last convolution.
    expect(parameters(vgg.graph)).toBe(20_024_384);
    const tapped = vgg.graph.nodes.find((node) => node.ref === vgg.taps.conv5_4)!;
    expect(tapped.type.shape.map(printDim)).toEqual(['n', '512', 'h/16', 'w/16']);
    expect(vgg.graph.nodes.find((node) => node.ref === vgg.taps.relu5_4)!.op).toBe('relu');
  });
});

describe('experiments', () => {
  test('ESRGAN: losses, recipe and blend', () => {
    const { losses, recipe, blends, lets } = ship('esrgan.sr');
    expect(losses.map(({ name, networks }) => [name, networks])).toEqual([
      ['esrgan_loss', ['vgg', 'critic']],
      ['esrgan_loss_2018', ['vgg', 'critic']],
      ['l1', []],
    ]);
    const [psnr, gan, psnr2018, gan2018] = recipe!.stages;
    expect({ ...psnr!, minimize: psnr!.minimize.name }).toEqual({
      name: 'psnr',
      minimize: 'l1',
      steps: 1_000_000,
      patch: 128,
      batch: 16,
      accumulate: 1,
      optimizer: { kind: 'adam', lr: 2e-4, betas: [0.9, 0.99], eps: 1e-8 },
      schedule: {
        kind: 'cosine',
        periods: [250_000, 250_000, 250_000, 250_000],
        weights: [1, 1, 1, 1],
        min: 1e-7,
      },
      ema: 0.999,
      freeze: [],
    });
    expect(gan).toMatchObject({ from: 'psnr', minimize: losses[0], steps: 400_000, ema: 0.999 });
    expect(gan!.schedule).toEqual({ kind: 'at', at: [50_000, 100_000, 200_000, 300_000], by: 0.5 });
    // The paper's: no average, Adam's usual second beta, halved regularly.
    expect(psnr2018!.schedule).toEqual({ kind: 'every', every: 200_000, by: 0.5 });
    expect(gan2018).toMatchObject({ from: 'psnr_2018', minimize: losses[1], steps: 500_000 });
    for (const stage of [psnr2018!, gan2018!]) {
      expect(stage.optimizer.betas).toEqual([0.9, 0.999]);
      expect(stage.ema).toBeUndefined();
    }
    const detached = losses.map(({ discriminator }) => discriminator && count(discriminator, 'detach'));
    expect(detached).toEqual([2, 0, undefined]);
    expect(recipe).toMatchObject({
      degrade: { kind: 'bicubic', factor: 4 },
      patch: 128,
      augment: ['flip', 'rot90'],
      seed: 0,
    });
    expect(blends).toEqual([
      {
        name: 'interpolated',
        terms: [
          { stage: 'gan', weight: 0.8 },
          { stage: 'psnr', weight: 0.2 },
        ],
      },
    ]);
    expect(lets).toEqual({ scale: 4 });
  });

  test.each(['compact.sr', 'esrgan-anime.sr', 'realesrgan-x2.sr'])(
    '%s: Real-ESRGAN’s degradation, sharpened targets and five layers, each network applied once',
    (file) => {
      const { recipe, losses } = ship(file);
      expect(recipe!.degrade.kind).toBe('realesrgan');
      expect(recipe!.stages.map(({ minimize }) => minimize.sharpened)).toEqual([true, true]);
      const { generator, discriminator, terms } = losses.find(({ name }) => name === 'realesrgan_loss')!;
      expect(terms.generator).toEqual(['sharp', 'features(sr, usm(hr))', '0.1 * gan(critic)']);
      expect(generator.inputs.map(({ ref }) => ref)).toEqual(['%sr', '%hr', '%usm']);
      expect(discriminator!.inputs.map(({ ref }) => ref)).toEqual(['%sr', '%hr']);
      // Twice VGG19 up to conv5_4, once the critic: 10 convolutions, and one in each of 8 power iterations.
      expect(count(generator, 'conv2d')).toBe(2 * 16 + 10 + 8);
      expect(count(generator, 'max_pool')).toBe(2 * 4);
      expect(generator.updates).toHaveLength(16);
    },
  );

  test('SRGAN: the paper’s content losses', () => {
    const { recipe } = ship('srgan.sr');
    const content = Object.fromEntries(
      recipe!.stages.map(({ name, minimize }) => [name, minimize.terms.generator[0]]),
    );
    expect(content).toMatchObject({ srgan_mse: '4 * mse', srgan_vgg22: 'vgg22', srgan_vgg54: 'vgg54' });
  });

  test('the perceptual term stops at its layer; the critic is there once', () => {
    const { generator, discriminator } = ship('esrgan.sr').losses[0]!;
    expect(names(generator).at(-1)).toBe('@critic.linear.1.bias');
    expect(names(generator)).toContain('@vgg.conv5_4.weight');
    expect(names(generator).filter((ref) => ref === '@critic.conv.0.weight')).toHaveLength(1);
    expect(names(discriminator!).every((ref) => ref.startsWith('@critic.'))).toBe(true);
    expect(generator.inputs.map(({ ref, type }) => [ref, type.shape.map(printDim).join()])).toEqual([
      ['%sr', 'n,3,128,128'],
      ['%hr', 'n,3,128,128'],
    ]);
  });

  test.each(['srgan.sr', 'msrresnet.sr', 'compact.sr', 'esrgan-anime.sr', 'realesrgan-x2.sr'])(
    '%s loads',
    (file) => {
      const { recipe, losses } = ship(file);
      expect(recipe!.stages.length).toBeGreaterThan(1);
      expect(losses.some((loss) => loss.discriminator)).toBe(true);
    },
  );
});

describe('style', () => {
  const files = readdirSync(new URL('../../graphs/', import.meta.url)).filter((name) => name.endsWith('.sr'));
  const shippedSources = files.map((name) => ({
    name: `graphs/${name}`,
    text: readFileSync(new URL(`../../graphs/${name}`, import.meta.url), 'utf8'),
  }));

  test.each([...LIBRARY, ...shippedSources])('$name is as `src fmt` writes it', (source) => {
    expect(format(parse(source))).toBe(source.text);
  });
});
