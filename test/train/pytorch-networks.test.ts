// Every network and every loss against PyTorch, on the CPU in double precision: results, gradients of everything, and
// the state that training leaves. PyTorch's numbers are rounded to 32 bits, which is all that may differ.

import { expect, test } from 'vitest';
import { differentiate } from '../../compiler/differentiate.js';
import { type Graph, type Node, type Ref, results, typesOf } from '../../compiler/graph.js';
import { interpret } from '../../compiler/interpret.js';
import { makeNode } from '../../compiler/ops/registry.js';
import type { Tensor } from '../../compiler/tensor.js';
import { internal } from '../../diagnostics.js';
import type { WeightFile } from '../../formats/weights.js';
import { answers, difference, image, program, startOf } from './pytorch.js';

const TOLERANCE = 1e-6;

/** The mean distance of a graph's output to `%target`. */
function againstTarget(graph: Graph): Graph {
  const [output] = graph.outputs;
  const types = typesOf(graph);
  const target = { ref: '%target', type: types.get(output!)! };
  types.set(target.ref, target.type);
  const nodes: Node[] = [...graph.nodes];
  const emit = (op: string, inputs: readonly Ref[], attrs = {}): Ref => {
    const ref = `%${op}`;
    const node = makeNode({ ref, op, inputs, attrs }, (operand) => types.get(operand)!);
    types.set(ref, node.type);
    nodes.push(node);
    return ref;
  };
  const distance = emit('reduce_mean', [emit('abs', [emit('sub', [output!, target.ref])])], { keep: 'none' });
  return { ...graph, inputs: [...graph.inputs, target], nodes, outputs: [distance] };
}

/** Compares the tensors of a file that begin with `prefix`, all of them, with those of the same names here. */
function compare(file: WeightFile, prefix: string, actual: ReadonlyMap<string, Tensor>) {
  const expected = [...file.tensors].filter(([name]) => name.startsWith(prefix));
  const names = expected.map(([name]) => name.slice(prefix.length));
  expect([...actual.keys()].sort()).toEqual(names.sort());
  for (const [name, { data }] of expected) {
    const { data: ours } = actual.get(name.slice(prefix.length))!;
    expect(difference(ours, data), name).toBeLessThan(TOLERANCE);
  }
}

/** Loss and gradients, by name. */
function gradients(graph: Graph, wrt: readonly Ref[], values: ReadonlyMap<Ref, Tensor>): Map<string, Tensor> {
  const [loss, ...slopes] = interpret(
    differentiate({ ...graph, outputs: graph.outputs.slice(0, 1) }, wrt),
    values,
  );
  return new Map([
    ['loss', loss!],
    ...wrt.map((ref, i) => [`gradient.${ref.slice(1)}`, slopes[i]!] as const),
  ]);
}

const NETWORKS = [
  { name: 'srresnet', file: 'srgan', input: [2, 3, 7, 5], evaluation: true },
  { name: 'msrresnet', file: 'msrresnet', input: [2, 3, 5, 7] },
  { name: 'esrgan', file: 'esrgan', input: [2, 3, 6, 5] },
  { name: 'srgan_critic', file: 'srgan', network: 'critic', input: [3, 3, 32, 32] },
  { name: 'vgg128', file: 'msrresnet', network: 'critic', input: [4, 3, 32, 32] },
  { name: 'unet', file: 'msrresnet', network: 'pixels', input: [2, 3, 16, 24], evaluation: true },
];

test.each(NETWORKS)('$name', ({ name, file, network = name, input, evaluation = false }) => {
  const found = program(file).networks.find((each) => each.name === network) ?? internal(network);
  const expected = answers(name);
  const state = new Map<Ref, Tensor>();
  const modes = { training: found.training, ...(evaluation && { evaluation: found.graph }) };
  for (const [mode, graph] of Object.entries(modes)) {
    const { shape } = expected.tensors.get(`${mode}.output`)!;
    const values = new Map([
      ...startOf(graph, `${name}.`),
      ...(mode === 'evaluation' ? state : []),
      ['%x', image(`${name}.x`, input)],
      ['%target', image(`${name}.target`, shape)],
    ]);
    const trained = graph.params.filter(({ trainable }) => trainable).map(({ ref }) => ref);
    const [output, ...states] = interpret({ ...graph, outputs: results(graph) }, values);
    graph.updates.forEach(({ param }, i) => {
      state.set(param, states[i]!);
    });
    const updates = graph.updates.map(({ param }, i) => [`update.${param.slice(1)}`, states[i]!] as const);
    compare(
      expected,
      `${mode}.`,
      new Map([
        ['output', output!],
        ...updates,
        ...gradients(againstTarget(graph), ['%x', ...trained], values),
      ]),
    );
  }
});

const LOSSES = program('losses').losses;

test.each(LOSSES)('$name', ({ name, generator, discriminator }) => {
  const expected = answers('losses');
  const values = (graph: Graph) =>
    new Map([...startOf(graph), ['%sr', image('sr', [2, 3, 12, 12])], ['%hr', image('hr', [2, 3, 12, 12])]]);
  const both = new Map(gradients(generator, ['%sr'], values(generator)));
  if (discriminator) {
    const wrt = discriminator.params.map(({ ref }) => ref);
    for (const [key, value] of gradients(discriminator, wrt, values(discriminator)))
      both.set(`discriminator.${key.replace('critic.', '')}`, value);
  }
  compare(expected, `${name}.`, both);
});
