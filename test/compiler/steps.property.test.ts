// The backward pass of random graphs: passes keep its meaning, and plans compute it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendGradients } from '../../compiler/differentiate.js';
import type { Graph } from '../../compiler/graph.js';
import { makeNode } from '../../compiler/ops/registry.js';
import { optimizeStep, prepareStep } from '../../compiler/passes/pipeline.js';
import { cut, forwardPass } from '../../compiler/recompute/blocks.js';
import { repeat } from '../../compiler/recompute/repeat.js';
import { eliminateDead } from '../../compiler/rewrite.js';
import { planStep, residentsOf } from '../../compiler/step-plan.js';
import { GENERIC } from '../../compiler/target.js';
import { parseGraph } from '../../compiler/text.js';
import type { StepGraph } from '../../compiler/training.js';
import { verify } from '../../compiler/verify.js';
import { evalDim, parseDim } from '../../runtime/dims.js';
import { randomGraph, randomValues, SIZES } from './graphs.js';
import { expectClose, simulate } from './simulate.js';
import { runAll } from './steps.js';

/** Sizes as numbers; the sum of the squares of all outputs as the loss. */
function withLoss(text: string): Graph {
  const numbers = text.replace(/f32\[([^\]]*)\]/g, (_, shape: string) => {
    const dims = shape.split(',').map((dim) => evalDim(parseDim(dim)!, SIZES));
    return `f32[${dims}]`;
  });
  const source = parseGraph(numbers);
  const { graph } = prepareStep(source);
  const values = randomValues(source);
  expectClose(runAll(graph, values), runAll(source, values), 1e-9);
  const nodes = [...graph.nodes];
  const types = new Map([...graph.inputs, ...graph.params, ...nodes].map(({ ref, type }) => [ref, type]));
  const emit = (op: string, inputs: string[], attrs = {}) => {
    const node = makeNode({ ref: `%${nodes.length}`, op, inputs, attrs }, (ref) => types.get(ref)!);
    nodes.push(node);
    types.set(node.ref, node.type);
    return node.ref;
  };
  const terms = graph.outputs.map((ref) => emit('reduce_mean', [emit('square', [ref])], { keep: 'none' }));
  const loss = terms.reduce((a, b) => emit('add', [a, b]));
  return { ...graph, nodes, outputs: [loss] };
}

function differentiated(text: string): StepGraph | undefined {
  const graph = withLoss(text);
  const all = graph.params.map(({ ref }) => ref);
  const { graph: full, gradients } = appendGradients(graph, graph.outputs[0]!, all);
  if (gradients.size === 0) return undefined;
  const params = full.params.map((param) => ({ ...param, trainable: gradients.has(param.ref) }));
  const step = eliminateDead({ ...full, params, outputs: [...full.outputs, ...gradients.values()] });
  const found = [...gradients.keys()].map((param, i) => [param, step.outputs[1 + i]!] as const);
  return { graph: verify(step, 'differentiation'), losses: ['generator'], gradients: new Map(found) };
}

/** Every prefix of a dense block is a slab, and so is what comes back through it. */
const DENSE = `graph dense(%x: f32[n,4,h,w], @a: f32[4,4,1,1] = constant(0), @b: f32[4,8,1,1] = constant(0), @c: f32[3,12,1,1] = constant(0)) {
  %0 = conv2d(%x, @a) {pad=0, stride=1} : f32[n,4,h,w]
  %1 = concat(%x, %0) : f32[n,8,h,w]
  %2 = conv2d(%1, @b) {pad=0, stride=1} : f32[n,4,h,w]
  %3 = relu(%2) : f32[n,4,h,w]
  %4 = concat(%x, %0, %3) : f32[n,12,h,w]
  %5 = conv2d(%4, @c) {pad=0, stride=1} : f32[n,3,h,w]
  return %5
}`;

test('passes keep the meaning of gradients, and plans compute them', () => {
  let checked = 0;
  fc.assert(
    fc.property(randomGraph, (text) => {
      const step = differentiated(text);
      if (!step) return;
      checked++;
      const values = randomValues(step.graph);
      const expected = runAll(step.graph, values);
      const { graph } = optimizeStep(step.graph, residentsOf(step.graph), GENERIC);
      expectClose(runAll(graph, values), expected, 1e-9);
      expectClose(simulate(step, planStep(step, GENERIC), values), expected, 1e-9);
      const pass = forwardPass(graph, [graph.outputs[0]!]);
      const again = verify(repeat(graph, pass, cut(pass, 3)), 'recomputation');
      expect(runAll(again, values)).toEqual(runAll(graph, values));
    }),
    { numRuns: 100, examples: [[DENSE]] },
  );
  expect(checked).toBeGreaterThan(50);
});
