// Every op that ONNX can say, on the samples of its record: ONNX Runtime gives what the reference gives.

import { expect, test } from 'vitest';
import type { Graph, Param } from '../../compiler/graph.js';
import { exportOnnx } from '../../compiler/onnx/export.js';
import type { Sample } from '../../compiler/ops/op.js';
import { makeNode, OPS } from '../../compiler/ops/registry.js';
import { randomSource } from '../../compiler/random.js';
import { sizeOf, tensor } from '../../compiler/tensor.js';
import { writeOnnx } from '../../formats/onnx.js';
import { describeWithOrt } from '../on-ort.js';

/** The op on `%x`, with its other operands as parameters. */
function graphOf(op: string, { inputs, attrs = {} }: Sample): Graph {
  const types = inputs.map((shape) => ({ shape }));
  const refs = inputs.map((_, i) => (i === 0 ? '%x' : `@p${i}`));
  const params = types.slice(1).map((type, i): Param => {
    return { ref: `@p${i + 1}`, type, init: { kind: 'constant', value: 0 }, trainable: true };
  });
  const node = makeNode({ ref: '%0', op, inputs: refs, attrs }, (ref) => types[refs.indexOf(ref)]!);
  return {
    name: op,
    inputs: [{ ref: '%x', type: types[0]! }],
    params,
    nodes: [node],
    outputs: ['%0'],
    updates: [],
  };
}

const CASES = [...OPS.values()]
  .filter(({ onnx }) => onnx !== 'none')
  .flatMap(({ name, samples }) => samples.map((sample) => ({ name, sample })));

describeWithOrt('in ONNX Runtime', (ort) => {
  test.each(CASES)('$name of $sample.inputs $sample.attrs', async ({ name, sample }) => {
    const graph = graphOf(name, sample);
    const random = randomSource(1);
    const values = sample.inputs.map((shape) =>
      Float32Array.from({ length: sizeOf(shape) }, () =>
        sample.positive ? 0.1 + random() : 2 * random() - 1,
      ),
    );
    const weights = new Map(values.slice(1).map((data, i) => [`p${i + 1}`, data]));
    const options = { precision: 'f32', metadata: {}, producer: { name: 'src', version: '' } } as const;
    const model = await ort.open(writeOnnx(exportOnnx(graph, weights, options)));
    const { output } = await model.run({ input: { data: values[0]!, shape: sample.inputs[0]! } });
    await model.close();

    const { shape } = graph.nodes[0]!.type;
    const operands = sample.inputs.map((extent, i) => tensor(extent, values[i]!));
    const expected = OPS.get(name)!.reference(operands, sample.attrs ?? {}, shape as number[]);
    expect(output!.length).toBe(expected.data.length);
    output!.forEach((value, i) => {
      expect(Math.abs(value - expected.data[i]!)).toBeLessThan(1e-5);
    });
  });
});

test('what has no form is refused at its place in the file', () => {
  const graph = graphOf('slice', { inputs: [[1, 4, 2, 2]], attrs: { from: 0, to: 2 } });
  const nodes = graph.nodes.map((node) => ({ ...node, loc: { file: 'mine.sr', line: 3, column: 5 } }));
  const options = { precision: 'f32', metadata: {}, producer: { name: 'src', version: '' } } as const;
  expect(() => exportOnnx({ ...graph, nodes }, new Map(), options)).toThrow(
    'mine.sr:3:5: slice cannot be said in ONNX',
  );
});

test('there is a form for everything that networks are made of', () => {
  const forms = new Set(CASES.map(({ name }) => name));
  const layers = [
    'conv2d',
    'add',
    'prelu',
    'lrelu',
    'concat',
    'scale',
    'upsample_nearest',
    'upsample_bilinear',
  ];
  for (const name of [...layers, 'pixel_shuffle', 'pixel_unshuffle', 'max_pool', 'avg_pool', 'div', 'sub']) {
    expect(forms).toContain(name);
  }
});
