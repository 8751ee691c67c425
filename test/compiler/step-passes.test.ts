// Passes of training steps as graph text: before, and what is expected after.

import { expect, test } from 'vitest';
import type { Graph } from '../../compiler/graph.js';
import { lower } from '../../compiler/lower.js';
import { optimizeStep, prepareStep } from '../../compiler/passes/pipeline.js';
import { residentsOf } from '../../compiler/step-plan.js';
import { GENERIC } from '../../compiler/target.js';
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

/** After the passes after differentiation. */
function optimized(text: string): string {
  const graph = parseGraph(text);
  return body(optimizeStep(graph, residentsOf(graph), GENERIC).graph);
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

test('gradients of weights have as many parts as the device has use for', () => {
  const graph = parseGraph(`graph g(%x: f32[4,64,24,24], %g: f32[4,64,24,24]) {
  %0 = conv2d_wgrad(%x, %g) {kernel=[3,3], pad=1, stride=1} : f32[64,64,3,3]
  return %0
}`);
  const parts = (software: boolean) =>
    optimizeStep(graph, residentsOf(graph), { ...GENERIC, software }).graph.nodes[0]?.attrs.parts;
  expect(parts(false)).toBe(64);
  expect(parts(true)).toBe(4);
});

test('sums take what is done to their operand, and what is done to the sum', () => {
  expect(
    optimized(`graph g(%x: f32[2,4,64,40], %y: f32[2,4,64,40], ${W('b', '4')}) {
  %0 = sub(%x, %y) : f32[2,4,64,40]
  %1 = abs(%0) : f32[2,4,64,40]
  %2 = reduce_mean(%1) {keep="channel"} : f32[4]
  %3 = offset(%2) {by=0.5} : f32[4]
  %4 = mul(%3, @b) : f32[4]
  return %4
}`),
  ).toBe(`  %0 = sum_columns(%x, %y) {prologue=["sub($1)","abs"]} : f32[2,4,64,1]
  %1 = sum_rows(%0, @b) {divisor=5120, epilogue=["offset(0.5)","mul($1)"], keep="channel"} : f32[4]
  return %1`);
});

test('what one image and vectors make is computed where it is read', () => {
  expect(
    optimized(`graph g(%x: f32[2,4,8,8], %y: f32[2,4,8,8], ${W('m', '4')}, ${W('s', '4')}) {
  %0 = sub(%x, @m) : f32[2,4,8,8]
  %1 = square(%0) : f32[2,4,8,8]
  %2 = reduce_sum(%1) {keep="channel"} : f32[4]
  %3 = mul(%0, @s) : f32[2,4,8,8]
  %4 = sub(%y, %0) : f32[2,4,8,8]
  return %2, %3, %4
}`),
  ).toBe(`  %0 = reduce_sum(%x, @m) {keep="channel", prologue=["sub($1)","square"]} : f32[4]
  %1 = map(%x, @s, @m) {epilogue=["sub($2)","mul($1)"]} : f32[2,4,8,8]
  %2 = map(%x, %y, @m) {epilogue=["sub($2)","sub($1, v)"]} : f32[2,4,8,8]
  return %0, %1, %2`);
});

test('what a conv reads is written once, and then read', () => {
  expect(
    optimized(`graph g(%x: f32[2,4,8,8], ${W('m', '4')}, ${W('w', '4,4,3,3')}) {
  %0 = sub(%x, @m) : f32[2,4,8,8]
  %1 = reduce_sum(%0) {keep="channel"} : f32[4]
  %2 = conv2d(%0, @w) {pad=1, stride=1} : f32[2,4,8,8]
  return %1, %2
}`),
  ).toBe(`  %0 = map(%x, @m) {epilogue=["sub($1)"]} : f32[2,4,8,8]
  %1 = reduce_sum(%0) {keep="channel"} : f32[4]
  %2 = conv2d(%0, @w) {pad=1, stride=1} : f32[2,4,8,8]
  return %1, %2`);
});

test('vectors that all terms have as a factor multiply their sum', () => {
  expect(
    optimized(`graph g(%x: f32[2,4,8,8], %y: f32[2,4,8,8], ${W('g', '4')}, ${W('r', '4')}, ${W('c', '4')}) {
  %0 = mul(@g, @r) : f32[4]
  %1 = mul(%y, %0) : f32[2,4,8,8]
  %2 = square(@r) : f32[4]
  %3 = scale(%2) {by=-0.5} : f32[4]
  %4 = mul(%3, %0) : f32[4]
  %5 = mul(%x, %4) : f32[2,4,8,8]
  %6 = add(%1, %5) : f32[2,4,8,8]
  %7 = mul(@c, %0) : f32[4]
  %8 = add(%6, %7) : f32[2,4,8,8]
  return %8
}`),
  ).toBe(`  %0 = map(@g, @r) {epilogue=["mul($1)"]} : f32[4]
  %1 = map(@r, @r) {epilogue=["mul($1)","scale(-0.5)"]} : f32[4]
  %2 = map(%x, %1, %y, @c, %0) {epilogue=["mul($1)","add($2)","add($3)","mul($4)"]} : f32[2,4,8,8]
  return %2`);
});

test('running statistics change in place, in the kernel that sums', () => {
  const text = `graph g(%x: f32[2,4,64,40], @v: f32[4] = constant(1) frozen) {
  %0 = reduce_mean(%x) {keep="channel"} : f32[4]
  %1 = scale(@v) {by=0.75} : f32[4]
  %2 = scale(%0) {by=0.25} : f32[4]
  %3 = add(%1, %2) : f32[4]
  update @v = %3
  return %x
}`;
  expect(optimized(text)).toBe(`  %0 = sum_columns(%x) : f32[2,4,64,1]
  %1 = sum_rows(%0, @v) {divisor=5120, epilogue=["scale(0.3333333333333333)","add($1)","scale(0.75)"], keep="channel"} : f32[4]
  update @v = %1
  return %x`);
  const { graph } = optimizeStep(parseGraph(text), new Set(['@v']), GENERIC);
  const persistence = { residents: new Map([['@v', 0]]), gradients: new Map() };
  expect(lower(graph, GENERIC, persistence).plan.steps).toHaveLength(2);
});

test('state that several forwards change is one chain', () => {
  const average = (to: string, from: string, by: string) => `  ${to}0 = scale(${from}) {by=0.5} : f32[4]
  ${to}1 = scale(${by}) {by=0.5} : f32[4]
  ${to} = add(${to}0, ${to}1) : f32[4]
`;
  expect(
    optimized(`graph g(%x: f32[2,4,8,8], %y: f32[2,4,8,8], @v: f32[4] = constant(1) frozen) {
  %0 = reduce_mean(%x) {keep="channel"} : f32[4]
  %1 = reduce_mean(%y) {keep="channel"} : f32[4]
${average('%2', '@v', '%0')}${average('%3', '%2', '%1')}  update @v = %3
  return %0, %1
}`),
  ).toContain('map(%0, @v, %1) {epilogue=["add($1)","scale(0.5)","add($2)","scale(0.5)"]}');
});

/** A gradient %g on its way through a conv, its weights and its bias. */
const BACK = `graph g(%g: f32[2,4,8,8], %x: f32[2,4,8,8], ${W('w', '4,4,3,3')}) {`;

test('a factor of a gradient waits until kernels have read it', () => {
  expect(
    optimized(`${BACK}
  %0 = scale(%g) {by=0.2} : f32[2,4,8,8]
  %1 = conv2d_dgrad(%0, @w) {extent=["8","8"], pad=1, stride=1} : f32[2,4,8,8]
  %2 = conv2d_wgrad(%x, %0) {kernel=[3,3], pad=1, stride=1} : f32[4,4,3,3]
  %3 = reduce_sum(%0) {keep="channel"} : f32[4]
  return %1, %2, %3
}`),
  ).toBe(`  %0 = conv2d_dgrad(%g, @w) {epilogue=["scale(0.2)"], extent=["8","8"], pad=1, stride=1} : f32[2,4,8,8]
  %1 = conv2d_wgrad_parts(%x, %g) {kernel=[3,3], pad=1, parts=16, stride=1} : f32[16,4,4,3,3]
  %2 = sum_parts(%1) {epilogue=["scale(0.2)"]} : f32[4,4,3,3]
  %3 = reduce_sum(%g) {epilogue=["scale(0.2)"], keep="channel"} : f32[4]
  return %0, %2, %3`);
});

test('a factor that a kernel takes for nothing, or that somebody cannot wait for, stays', () => {
  const graph = (result: string) => `${BACK}
  %0 = conv2d_dgrad(%g, @w) {extent=["8","8"], pad=1, stride=1} : f32[2,4,8,8]
  %1 = scale(%0) {by=0.2} : f32[2,4,8,8]
  %2 = conv2d_dgrad(%1, @w) {extent=["8","8"], pad=1, stride=1} : f32[2,4,8,8]
  return ${result}
}`;
  const first = (factor: string) =>
    `  %0 = conv2d_dgrad(%g, @w) {${factor}extent=["8","8"], pad=1, stride=1} : f32[2,4,8,8]\n`;
  expect(optimized(graph('%2'))).toContain(first('epilogue=["scale(0.2)"], '));
  expect(optimized(graph('%0, %1, %2'))).toContain('map(%0) {epilogue=["scale(0.2)"]}');
});

test('a kernel adds to each summand of a gradient', () => {
  expect(
    optimized(`${BACK}
  %0 = conv2d_dgrad(%g, @w) {extent=["8","8"], pad=1, stride=1} : f32[2,4,8,8]
  %1 = scale(%g) {by=0.25} : f32[2,4,8,8]
  %2 = add(%1, %x) : f32[2,4,8,8]
  %3 = add(%2, %0) : f32[2,4,8,8]
  return %3
}`),
  ).toBe(
    '  %0 = conv2d_dgrad(%g, @w, %g, %x) {epilogue=["scale(4)","add($2)","scale(0.25)","add($3)"], extent=["8","8"], pad=1, stride=1} : f32[2,4,8,8]\n  return %0',
  );
});

test('a sum of few pixels is one kernel; the biased and the unbiased variance share it', () => {
  expect(
    optimized(`graph g(%x: f32[2,4,8,8]) {
  %0 = square(%x) : f32[2,4,8,8]
  %1 = reduce_mean(%0) {keep="channel"} : f32[4]
  %2 = reduce_mean(%0) {ddof=64, keep="channel"} : f32[4]
  %3 = rsqrt(%1) : f32[4]
  return %2, %3
}`),
  ).toBe(`  %0 = reduce_mean(%x) {keep="channel", prologue=["square"]} : f32[4]
  %1 = map(%0) {epilogue=["scale(2)"]} : f32[4]
  %2 = map(%0) {epilogue=["rsqrt"]} : f32[4]
  return %1, %2`);
});

const JOINED = `graph g(%g: f32[2,4,8,8], %y: f32[2,4,8,8], ${W('w', '4,8,3,3')}) {
  %0 = conv2d_dgrad(%g, @w) {extent=["8","8"], pad=1, stride=1} : f32[2,8,8,8]
  %1 = slice(%0) {from=0, to=4} : f32[2,4,8,8]
  %2 = slice(%0) {from=4, to=8} : f32[2,4,8,8]
  %3 = lrelu_grad(%2, %y) {slope=0.2} : f32[2,4,8,8]
  %4 = conv2d_dgrad(%3, @w) {extent=["8","8"], pad=1, stride=1} : f32[2,8,8,8]
`;

test('a slice of what a kernel makes is masked by that kernel', () => {
  expect(optimized(`${JOINED}  return %1, %4\n}`)).toBe(
    `  %0 = conv2d_dgrad(%g, @w, %y) {epilogue=["lrelu_grad($2, 0.2)[4:8]"], extent=["8","8"], pad=1, stride=1} : f32[2,8,8,8]
  %1 = slice(%0) {from=0, to=4} : f32[2,4,8,8]
  %2 = slice(%0) {from=4, to=8} : f32[2,4,8,8]
  %3 = conv2d_dgrad(%2, @w) {extent=["8","8"], pad=1, stride=1} : f32[2,8,8,8]
  return %1, %3`,
  );
});

test('but not where something else reads those channels as they were', () => {
  const across = '  %5 = slice(%0) {from=0, to=6} : f32[2,6,8,8]\n  return %4, %5';
  for (const rest of ['  return %2, %4', '  return %0, %4', across]) {
    expect(optimized(`${JOINED}${rest}\n}`)).toMatch(/map\(%\d, %y\)/);
  }
});

test('nor where a kernel that was changed before reads them', () => {
  const result =
    optimized(`graph g(%g: f32[2,4,8,8], ${W('u', '8,4,3,3')}, ${W('w', '4,16,3,3')}, ${W('v', '4,8,3,3')}) {
  %0 = conv2d(%g, @u) {pad=1, stride=1} : f32[2,8,8,8]
  %1 = conv2d_dgrad(%g, @w) {extent=["8","8"], pad=1, stride=1} : f32[2,16,8,8]
  %2 = slice(%1) {from=8, to=16} : f32[2,8,8,8]
  %3 = mul(%2, %0) : f32[2,8,8,8]
  %4 = slice(%0) {from=0, to=4} : f32[2,4,8,8]
  %5 = relu(%4) : f32[2,4,8,8]
  %6 = conv2d(%3, @v) {pad=1, stride=1} : f32[2,4,8,8]
  %7 = conv2d(%5, @u) {pad=1, stride=1} : f32[2,8,8,8]
  return %6, %7
}`);
  expect(result).toContain('mul($2)[8:16]');
  expect(result).not.toContain('relu[0:4]');
});

test('large weights that two batches meet have one gradient, of both as one', () => {
  const graph = (pixels: number) => {
    const [image, map] = [`f32[2,4,${pixels},${pixels}]`, `f32[2,16,${pixels},${pixels}]`];
    return `graph g(%x: ${image}, %y: ${image}, %g: ${map}, %h: ${map}) {
  %0 = conv2d_wgrad(%x, %g) {kernel=[3,3], pad=1, stride=1} : f32[16,4,3,3]
  %1 = conv2d_wgrad(%y, %h) {kernel=[3,3], pad=1, stride=1} : f32[16,4,3,3]
  %2 = add(%0, %1) : f32[16,4,3,3]
  return %2
}`;
  };
  expect(optimized(graph(2))).toBe(`  %0 = stack(%x, %y) : f32[4,4,2,2]
  %1 = stack(%g, %h) : f32[4,16,2,2]
  %2 = conv2d_wgrad_parts(%0, %1) {kernel=[3,3], pad=1, parts=8, stride=1} : f32[8,16,4,3,3]
  %3 = sum_parts(%2) : f32[16,4,3,3]
  return %3`);
  expect(optimized(graph(3))).not.toContain('stack');
});

test('but not where the images of the batches differ in size', () => {
  expect(
    optimized(`graph g(%x: f32[2,8,2,2], %y: f32[2,8,1,1], %g: f32[2,8,2,2], %h: f32[2,8,1,1]) {
  %0 = conv2d_wgrad(%x, %g) {kernel=[3,3], pad=1, stride=1} : f32[8,8,3,3]
  %1 = conv2d_wgrad(%y, %h) {kernel=[3,3], pad=1, stride=1} : f32[8,8,3,3]
  %2 = add(%0, %1) : f32[8,8,3,3]
  return %2
}`),
  ).not.toContain('stack');
});

test('the factor of a vector is applied to the image that it is added to', () => {
  expect(
    optimized(`graph g(%x: f32[2,4,8,8], ${W('v', '4')}) {
  %0 = scale(@v) {by=-0.5} : f32[4]
  %1 = square(%x) : f32[2,4,8,8]
  %2 = add(%1, %0) : f32[2,4,8,8]
  return %2
}`),
  ).toBe(
    '  %0 = map(%x, @v) {epilogue=["square","scale(-2)","add($1)","scale(-0.5)"]} : f32[2,4,8,8]\n  return %0',
  );
});

test('in f16 no gradient is divided by a small factor', () => {
  const graph = parseGraph(`graph g(%x: f32[4,64,24,24]) {
  %0 = scale(%x) {by=0.005} : f32[4,64,24,24]
  return %0
}`);
  const passes = (precision: 'f32' | 'f16') =>
    optimizeStep(graph, residentsOf(graph), { ...GENERIC, precision }).log.map(({ pass }) => pass);
  expect(passes('f32')).toContain('add gradients one by one');
  expect(passes('f16')).not.toContain('add gradients one by one');
});
