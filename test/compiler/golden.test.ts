// The shipped networks as integers: parameters, kernels, arithmetic, receptive radius and planned memory. A pass that
// stops firing, or a graph that changes, shows here.

import { expect, test } from 'vitest';
import { optimize } from '../../compiler/passes/pipeline.js';
import { parseGraph, printGraph } from '../../compiler/text.js';
import { load } from '../../dsl/index.js';
import { type Compiled, compile, planFor } from '../../index.js';
import { factsOf } from '../../runtime/halo.js';
import { planTiles } from '../../runtime/tiles.js';
import { graphSource } from '../shared.js';

const UNLIMITED = {
  maxStorageBufferBindingSize: Infinity,
  maxBufferSize: Infinity,
  maxComputeWorkgroupsPerDimension: Infinity,
  memory: Infinity,
};

function numbers(compiled: Compiled) {
  const { parameters, tensors, convs, macsPerPixel, receptiveRadius } = compiled.summary;
  const plan = planFor(compiled);
  const { planned } = planTiles(factsOf(plan), { width: 64, height: 64 }, UNLIMITED).memory;
  return { parameters, tensors, convs, macsPerPixel, receptiveRadius, kernels: plan.steps.length, planned };
}

test('ESRGAN 23x64x32', () => {
  expect(numbers(compile(graphSource('esrgan.sr')))).toEqual({
    parameters: 16_697_987,
    tensors: 702,
    convs: 351,
    macsPerPixel: 17_926_848,
    receptiveRadius: 348.25,
    kernels: 351,
    planned: 39_845_888,
  });
});

const OTHERS = [
  ['esrgan-anime.sr', {}, { parameters: 4_467_779, convs: 96, kernels: 96 }],
  ['realesrgan-x2.sr', {}, { parameters: 16_703_171, convs: 351, kernels: 352 }],
  ['msrresnet.sr', {}, { parameters: 1_517_571, convs: 37, kernels: 38 }],
  ['compact.sr', {}, { parameters: 621_424, convs: 18, kernels: 19 }],
  ['compact.sr', { convs: 32 }, { parameters: 1_213_296, convs: 34, kernels: 35 }],
  ['srgan.sr', {}, { parameters: 1_548_547, convs: 37, kernels: 37 }],
] as const;

test.each(OTHERS)('%s %j', (file, set, expected) => {
  expect(numbers(compile(graphSource(file), { set }))).toMatchObject(expected);
});

test('the discriminator of ESRGAN', () => {
  const compiled = compile(graphSource('esrgan.sr'), { network: 'critic' });
  expect(numbers(compiled)).toMatchObject({ parameters: 14_499_401, kernels: 12 });
});

test('VGG19 to its last pool', () => {
  const { summary } = compile(graphSource('esrgan.sr'), { network: 'vgg' });
  expect(summary).toMatchObject({ parameters: 20_024_384, convs: 16 });
});

const ALL = ['esrgan.sr', 'esrgan-anime.sr', 'realesrgan-x2.sr', 'msrresnet.sr', 'compact.sr', 'srgan.sr'];

test.each(ALL)('every graph of %s prints and parses after every pass', (file) => {
  const program = load(graphSource(file), { set: file === 'compact.sr' ? { convs: 2 } : { blocks: 1 } });
  const losses = program.losses.flatMap((loss) => [loss.generator, loss.discriminator ?? []].flat());
  for (const graph of [...program.networks.map((network) => network.graph), ...losses]) {
    expect(parseGraph(printGraph(graph))).toEqual(graph);
    optimize(graph, (_pass, after) => expect(parseGraph(printGraph(after))).toEqual(after));
  }
});
