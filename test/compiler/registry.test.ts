// Every op of the registry in a loop: the shape rule against the reference, the gradient against finite differences
// in one random direction in f64, and the text form. Adding a record adds its tests.

import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../compiler/builder.js';
import { appendGradients, differentiate } from '../../compiler/differentiate.js';
import type { Graph, Ref } from '../../compiler/graph.js';
import { interpret } from '../../compiler/interpret.js';
import type { Sample } from '../../compiler/ops/op.js';
import { OPS } from '../../compiler/ops/registry.js';
import type { Tensor } from '../../compiler/tensor.js';
import { parseGraph, printGraph } from '../../compiler/text.js';
import { randomSource, randomTensor } from '../random.js';

interface Case {
  readonly graph: Graph;
  readonly values: Map<Ref, Tensor>;
  readonly inputs: Ref[];
}

/** The op of a sample, as a graph; with `loss`, followed by a weighted sum so that every output counts differently. */
function build(op: string, sample: Sample, loss: boolean): Case {
  const random = randomSource(7);
  const builder = new GraphBuilder(op);
  const values = new Map<Ref, Tensor>();
  const input = (name: string, shape: readonly number[], positive = false) => {
    const ref = builder.input(name, { shape });
    values.set(ref, randomTensor(shape, random, positive));
    return ref;
  };
  const inputs = sample.inputs.map((shape, i) => input(`x${i}`, shape, sample.positive));
  let result = builder.emit(op, inputs, sample.attrs);
  if (loss) {
    const weights = input('weights', builder.type(result).shape as number[]);
    result = builder.emit('reduce_sum', [builder.emit('mul', [result, weights])], { keep: 'none' });
  }
  return { graph: builder.finish([result]), values, inputs };
}

describe.each([...OPS.values()].map((op) => [op.name, op] as const))('%s', (name, op) => {
  test.each(op.samples)('is what its shape rule says, and finite: %j', (sample) => {
    const { graph, values } = build(name, sample, false);
    const [value] = interpret(graph, values);
    expect(value?.shape).toEqual(graph.nodes[0]?.type.shape);
    expect(value?.data.every(Number.isFinite)).toBe(true);
  });

  test('prints and parses', () => {
    for (const sample of op.samples) {
      const { graph } = build(name, sample, false);
      expect(parseGraph(printGraph(graph))).toEqual(graph);
    }
  });

  if (op.gradient === 'nodiff') return;
  test.each(op.samples.filter((s) => s.inputs.length > 0))(
    'has the gradient that finite differences see: %j',
    (sample) => {
      const { graph, values, inputs } = build(name, sample, true);
      const random = randomSource(11);
      for (const input of inputs) {
        const x = values.get(input)!;
        const direction = randomTensor(x.shape, random);
        const lossAt = (t: number) => {
          const moved = { shape: x.shape, data: x.data.map((v, i) => v + t * direction.data[i]!) };
          return interpret(graph, new Map([...values, [input, moved]]))[0]!.data[0]!;
        };
        const step = 1e-5;
        const expected = (lossAt(step) - lossAt(-step)) / (2 * step);
        const { gradients } = appendGradients(graph, graph.outputs[0]!, [input]);
        if (!gradients.has(input)) {
          // Piecewise constant, or cut off on purpose: no gradient flows, and asking for one is a bug.
          if (name !== 'detach') expect(expected).toBe(0);
          expect(() => differentiate(graph, [input])).toThrow('does not depend');
          continue;
        }
        const [, gradient] = interpret(differentiate(graph, [input]), values);
        const actual = gradient!.data.reduce((sum, g, i) => sum + g * direction.data[i]!, 0);
        expect(Math.abs(actual - expected)).toBeLessThan(1e-7 * Math.max(1, Math.abs(expected)));
      }
    },
  );
});
