// Training steps on the CPU: gradients against finite differences for every builtin loss, what is computed and what is
// not, and that optimizing changes nothing but the work.

import { describe, expect, test } from 'vitest';
import type { Graph, Ref } from '../../compiler/graph.js';
import { interpret } from '../../compiler/interpret.js';
import { optimizeStep } from '../../compiler/passes/pipeline.js';
import { residentsOf } from '../../compiler/step-plan.js';
import { GENERIC } from '../../compiler/target.js';
import type { Tensor } from '../../compiler/tensor.js';
import { parseGraph, printGraph } from '../../compiler/text.js';
import { trainingStep } from '../../compiler/training.js';
import { randomSource, randomTensor } from '../random.js';
import { OBJECTIVES, type Objective, runAll, specOf, stepOf, valuesOf } from './steps.js';

const ALL = Object.keys(OBJECTIVES) as Objective[];

function count(graph: Graph, op: string, where: (inputs: readonly Ref[]) => boolean = () => true): number {
  return graph.nodes.filter((node) => node.op === op && where(node.inputs)).length;
}

/** What gradients see of `detach`: values that no parameter moves, as inputs. */
function holdDetached(graph: Graph, values: ReadonlyMap<Ref, Tensor>) {
  const cut = graph.nodes.filter(({ op }) => op === 'detach');
  const results = interpret({ ...graph, outputs: cut.map(({ ref }) => ref) }, values);
  const inputs = [...graph.inputs, ...cut.map(({ ref, type }) => ({ ref, type }))];
  return {
    graph: { ...graph, inputs, nodes: graph.nodes.filter((node) => !cut.includes(node)) },
    values: new Map([...values, ...cut.map(({ ref }, i) => [ref, results[i]!] as const)]),
  };
}

describe.each(ALL)('%s', (objective) => {
  const step = stepOf(objective);
  const { graph, losses, gradients } = step;
  const values = valuesOf(graph);

  test('has the gradients that finite differences see', () => {
    const results = interpret(graph, values);
    const place = new Map([...gradients.keys()].map((param, i) => [param, losses.length + i]));
    for (const [player, prefix] of [
      ['generator', '@net.'],
      ['discriminator', '@critic.'],
      ['discriminator', '@pixels.'],
    ] as const) {
      const params = [...gradients.keys()].filter((param) => param.startsWith(prefix));
      if (params.length === 0) continue;
      const random = randomSource(11);
      const held = holdDetached(graph, values);
      const direction = new Map(
        params.map((param) => [param, randomTensor(values.get(param)!.shape, random)]),
      );
      const lossAt = (t: number) => {
        const moved = params.map((param): [Ref, Tensor] => {
          const { shape, data } = values.get(param)!;
          return [param, { shape, data: data.map((v, i) => v + t * direction.get(param)!.data[i]!) }];
        });
        return interpret(held.graph, new Map([...held.values, ...moved]))[losses.indexOf(player)]!.data[0]!;
      };
      const h = 1e-6;
      const expected = (lossAt(h) - lossAt(-h)) / (2 * h);
      const actual = params.reduce((total, param) => {
        const gradient = results[place.get(param)!]!.data;
        return gradient.reduce((sum, g, i) => sum + g * direction.get(param)!.data[i]!, total);
      }, 0);
      expect(Math.abs(actual - expected), `${player}: ${actual} for ${expected}`).toBeLessThan(
        1e-5 * Math.max(1e-2, Math.abs(expected)),
      );
    }
  });

  test('means the same after every pass, and prints and parses', () => {
    const expected = runAll(graph, values);
    expect(parseGraph(printGraph(graph))).toEqual(graph);
    optimizeStep(graph, residentsOf(graph), GENERIC, (pass, after) => {
      expect(parseGraph(printGraph(after))).toEqual(after);
      runAll(after, values).forEach(({ data }, i) => {
        const largest = expected[i]!.data.reduce((max, v) => Math.max(max, Math.abs(v)), 1e-3);
        const worst = data.reduce((max, v, k) => Math.max(max, Math.abs(v - expected[i]!.data[k]!)), 0);
        expect(worst / largest, `result ${i} after ${pass}`).toBeLessThan(1e-9);
      });
    });
  });
});

test('the scale of the loss multiplies gradients and nothing else', () => {
  const [plain, scaled] = [stepOf('ragan'), stepOf('ragan', { lossScale: true })];
  const values = valuesOf(plain.graph);
  const [expected, actual] = [
    interpret(plain.graph, values),
    interpret(scaled.graph, new Map([...values, ['%loss_scale', { shape: [], data: Float64Array.of(8) }]])),
  ];
  expect(scaled.losses).toEqual(plain.losses);
  actual.forEach(({ data }, i) => {
    const factor = i < plain.losses.length ? 1 : 8;
    data.forEach((value, k) => {
      expect(value).toBeCloseTo(factor * expected[i]!.data[k]!, 9);
    });
  });
});

test('each player’s loss comes first, then the terms', () => {
  expect(stepOf('l1').losses).toEqual(['generator']);
  expect(stepOf('ragan').losses.slice(0, 4)).toEqual([
    'generator',
    'discriminator',
    'generator.0',
    'generator.1',
  ]);
});

test('networks’ parameters carry their names; perception is frozen; every trained one has a gradient', () => {
  const { graph, gradients } = stepOf('ragan');
  const trained = graph.params.filter(({ trainable }) => trainable).map(({ ref }) => ref);
  expect([...gradients.keys()].sort()).toEqual(trained.sort());
  expect(new Set(trained.map((ref) => ref.split('.')[0]))).toEqual(new Set(['@net', '@critic']));
  expect(graph.params.some(({ ref, trainable }) => ref.startsWith('@vgg.') && !trainable)).toBe(true);
});

test('players share the critic’s forwards, but for power iterations that have moved on', () => {
  const forwards = (objective: Objective, weight: string) =>
    count(stepOf(objective).graph, 'conv2d', ([, w]) => w === weight);
  expect(forwards('gan', '@critic.conv.0.weight')).toBe(2);
  expect(forwards('ragan', '@critic.conv.0.weight')).toBe(2);
  const { graph } = stepOf('spectral');
  // gan: the generator's d(sr); the discriminator's d(hr) and d(sr).
  expect(count(graph, 'conv2d', ([x]) => x === '%hr')).toBe(1);
  expect(count(graph, 'div', ([w]) => w === '@pixels.conv.0.weight_orig')).toBe(3);
});

test('state is updated once per forward of each player', () => {
  const { graph } = stepOf('gan');
  const state = graph.updates.map(({ param }) => param);
  expect(state.filter((param) => param.startsWith('@net.'))).toHaveLength(2);
  expect(state.filter((param) => param.startsWith('@critic.'))).toHaveLength(4);
  const read = graph.updates
    .filter(({ param }) => param.endsWith('running_mean'))
    .map(({ param, value }) => {
      let depth = 0;
      let at: Ref = value;
      for (
        let node = graph.nodes.find(({ ref }) => ref === at);
        node;
        node = graph.nodes.find(({ ref }) => ref === at)
      ) {
        if (node.op === 'scale') depth++;
        at = node.inputs[0]!;
      }
      return [at === param, depth];
    });
  // Once by the generator's batch; the critic three times: d(sr), then d(hr) and d(sr).
  expect(read).toEqual([
    [true, 1],
    [true, 3],
    [true, 3],
  ]);
});

test('nothing is computed for what is frozen, and no gradient of data', () => {
  const { graph } = stepOf('perceptual');
  const isConv = ({ shape }: { shape: readonly unknown[] }) => shape.length === 4;
  const trained = graph.params.filter(({ trainable, type }) => trainable && isConv(type)).length;
  expect(count(graph, 'conv2d_wgrad')).toBe(trained);
  const frozen = stepOf('perceptual', { frozen: (name) => !name.startsWith('net.conv.') });
  expect(count(frozen.graph, 'conv2d_wgrad')).toBeLessThan(trained);
  expect([...frozen.gradients.keys()].every((param) => param.startsWith('@net.conv.'))).toBe(true);
  // The first conv reads %lr, the critic's convs of the original read %hr.
  const critic = stepOf('gan').graph;
  const sizes = critic.nodes
    .filter(({ op, inputs: [, w] }) => op === 'conv2d_dgrad' && w!.startsWith('@'))
    .map(({ type }) => type.shape.join());
  expect(sizes).not.toContain('2,3,4,4');
  expect(sizes.filter((size) => size === '2,3,16,16')).toHaveLength(1);
});

describe('mistakes', () => {
  test('a parameter that the loss does not see', () => {
    expect(() => trainingStep(specOf('mean(detach(sr))'))).toThrow(
      "is trained, but the generator's loss does not depend on it",
    );
  });

  test('a patch that the discriminator is not made for', () => {
    expect(() => stepOf('gan', { height: 8 })).toThrow(
      'minimized_generator is for images of (3, 16, 16), the generator makes (3, 32, 16)',
    );
  });

  test('a batch that has no variance', () => {
    const text = specOf('l1');
    expect(() => trainingStep({ ...text, batch: 1, height: 1, width: 1 })).toThrow(
      'one value has no variance',
    );
  });
});
