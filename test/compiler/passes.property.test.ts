// What every pass must keep, on random graphs: the meaning of the graph. And what lowering must keep: each value lies
// where its readers look for it, until the last of them has read it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Graph, Ref } from '../../compiler/graph.js';
import { interpret } from '../../compiler/interpret.js';
import { lower } from '../../compiler/lower.js';
import { opNamed } from '../../compiler/ops/registry.js';
import { optimize } from '../../compiler/passes/pipeline.js';
import { GENERIC } from '../../compiler/target.js';
import { type Tensor, zeros } from '../../compiler/tensor.js';
import { parseGraph, printGraph } from '../../compiler/text.js';
import { evalDim } from '../../runtime/dims.js';
import { factsOf } from '../../runtime/halo.js';
import { roundUp } from '../../runtime/kernels/kernel.js';
import type { Operand } from '../../runtime/plan.js';
import { randomGraph, randomValues, SIZES } from './graphs.js';

const RUNS = { numRuns: 100 };

/** A concat inside two larger ones: its buffer cannot lie in a range of theirs. */
const NESTED_CONCATS = `graph nested(%x: f32[n,1,h,w], @a: f32[4,1,1,1] = constant(0), @b: f32[1,8,1,1] = constant(0)) {
  %0 = conv2d(%x, @a) {pad=0, stride=1} : f32[n,4,h,w]
  %1 = concat(%0, %0) : f32[n,8,h,w]
  %2 = conv2d(%1, @b) {pad=0, stride=1} : f32[n,1,h,w]
  %3 = concat(%1, %1, %2) : f32[n,17,h,w]
  %4 = scale(%3) {by=2} : f32[n,17,h,w]
  return %4
}`;

function expectSame(actual: readonly Tensor[], expected: readonly Tensor[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    const { shape, data } = expected[i]!;
    expect(value.shape).toEqual(shape);
    const largest = data.reduce((max, x) => Math.max(max, Math.abs(x)), 1);
    const worst = data.reduce((max, x, k) => Math.max(max, Math.abs(x - value.data[k]!)), 0);
    expect(worst / largest).toBeLessThan(1e-9);
  });
}

test('every pass keeps the meaning, and every graph prints and parses', () => {
  fc.assert(
    fc.property(randomGraph, (text) => {
      const graph = parseGraph(text);
      const values = randomValues(graph);
      const expected = interpret(graph, values);
      optimize(graph, (_pass, rewritten) => {
        expectSame(interpret(rewritten, values), expected);
        expect(parseGraph(printGraph(rewritten))).toEqual(rewritten);
      });
    }),
    RUNS,
  );
});

/** Runs a plan with the reference of each step's node, in the plan's buffers. */
function simulate(graph: Graph, values: ReadonlyMap<Ref, Tensor>): Tensor[] {
  const { plan, origins } = lower(graph, GENERIC);
  factsOf(plan); // refuses what is read before it is written
  const known = new Map(graph.params.map(({ ref }) => [ref, values.get(ref)!]));
  for (const { ref, op, inputs, attrs, type } of graph.nodes) {
    const args = inputs.map((input) => known.get(input));
    if (!args.every((arg) => arg !== undefined)) continue;
    known.set(ref, opNamed(op).reference(args, attrs, type.shape as number[]));
  }
  const sizeOf = (buffer: number) =>
    plan.buffers[buffer]!.dims.map((dim) => evalDim(dim, SIZES)) as [number, number, number];
  const buffers = plan.buffers.map(({ stride }, i) => {
    const [n, h, w] = sizeOf(i);
    return new Float64Array(n * h * w * stride).fill(Number.NaN);
  });
  /** The elements of `[n][h][w][stride]` that an operand is, and theirs in its NCHW tensor. */
  const visit = (operand: Operand, see: (at: number, element: number) => void) => {
    const { buffer, offset, channels } = operand;
    const [n, h, w] = sizeOf(buffer);
    const plane = h * w;
    for (let pixel = 0; pixel < n * plane; pixel++) {
      const [b, at] = [Math.floor(pixel / plane), pixel * plan.buffers[buffer]!.stride + offset];
      for (let c = 0; c < channels; c++) see(at + c, (b * channels + c) * plane + (pixel % plane));
    }
  };
  const load = (operand: Operand): Tensor => {
    const [n, h, w] = sizeOf(operand.buffer);
    const value = zeros([n, operand.channels, h, w]);
    visit(operand, (at, element) => {
      value.data[element] = buffers[operand.buffer]![at]!;
    });
    return value;
  };
  /** As kernels do, with zeros up to the next multiple of 4. */
  const store = (operand: Operand, { data }: Tensor) => {
    const buffer = buffers[operand.buffer]!;
    const padded = roundUp(operand.offset + operand.channels, 4) - operand.offset;
    visit({ ...operand, channels: padded }, (at) => {
      buffer[at] = 0;
    });
    visit(operand, (at, element) => {
      buffer[at] = data[element]!;
    });
  };
  for (const { name, buffer, channels } of plan.inputs)
    store({ buffer, offset: 0, channels }, values.get(`%${name}`)!);
  plan.steps.forEach((step, i) => {
    const node = origins[i]!;
    const reads = [...step.reads];
    const inputs = node.inputs.map((ref) => known.get(ref) ?? load(reads.shift()!));
    const [n, h, w] = sizeOf(step.writes.buffer);
    store(step.writes, opNamed(node.op).reference(inputs, node.attrs, [n, step.writes.channels, h, w]));
  });
  return plan.outputs.map(({ buffer, channels }) => load({ buffer, offset: 0, channels }));
}

test.each([
  ['as written', (graph: Graph) => graph],
  ['optimized', (graph: Graph) => optimize(graph).graph],
])('a plan computes what its graph means: %s', (_name, prepare) => {
  fc.assert(
    fc.property(randomGraph, (text) => {
      const graph = parseGraph(text);
      const values = randomValues(graph);
      expectSame(simulate(prepare(graph), values), interpret(graph, values));
    }),
    { ...RUNS, examples: [[NESTED_CONCATS]] },
  );
});
