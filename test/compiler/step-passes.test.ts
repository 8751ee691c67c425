// Passes of training steps as graph text: before, and what is expected after.

import { expect, test } from 'vitest';
import type { Graph } from '../../compiler/graph.js';
import { prepareStep } from '../../compiler/passes/pipeline.js';
import { parseGraph, printGraph } from '../../compiler/text.js';

const W = (name: string, shape: string) => `@${name}: f32[${shape}] = constant(0)`;

/** The body of a graph, without signature and closing lines. */
function body(graph: Graph): string {
  expect(parseGraph(printGraph(graph))).toEqual(graph);
  return printGraph(graph).split('\n').slice(1, -2).join('\n');
}

/** After the passes before differentiation. */
function prepared(text: string): string {
  return body(prepareStep(parseGraph(text)).graph);
}

test('nearest x2 and a 3x3 conv are the adjoint of a strided 4x4 conv', () => {
  expect(
    prepared(`graph g(%x: f32[2,4,5,6], ${W('w', '8,4,3,3')}) {
  %0 = upsample_nearest(%x) {factor=2} : f32[2,4,10,12]
  %1 = conv2d(%0, @w) {pad=1, stride=1} : f32[2,8,10,12]
  return %1
}`),
  ).toBe(`  %0 = nearest_kernel(@w) : f32[4,8,4,4]
  %1 = conv2d_dgrad(%x, %0) {extent=["10","12"], pad=1, stride=2} : f32[2,8,10,12]
  return %1`);
});
