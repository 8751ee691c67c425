// Passes as graph text: before, and what is expected after.

import { expect, test } from 'vitest';
import { optimize } from '../../compiler/passes/pipeline.js';
import { parseGraph, printGraph } from '../../compiler/text.js';

/** The body of the optimized graph, without signature and closing lines. */
function optimized(text: string): string {
  const graph = optimize(parseGraph(text)).graph;
  expect(parseGraph(printGraph(graph))).toEqual(graph);
  return printGraph(graph).split('\n').slice(1, -2).join('\n');
}

const W = (name: string, shape: string) => `@${name}: f32[${shape}] = constant(0)`;

test('bias, activation, residual scale and both skip adds of an RRDB end in one conv', () => {
  expect(
    optimized(`graph g(%x: f32[n,8,h,w], %r: f32[n,8,h,w], ${W('w', '8,8,3,3')}, ${W('b', '8')}) {
  %0 = conv2d(%x, @w) {pad=1, stride=1} : f32[n,8,h,w]
  %1 = add(%0, @b) : f32[n,8,h,w]
  %2 = lrelu(%1) {slope=0.2} : f32[n,8,h,w]
  %3 = scale(%2) {by=0.2} : f32[n,8,h,w]
  %4 = add(%x, %3) : f32[n,8,h,w]
  %5 = scale(%4) {by=0.2} : f32[n,8,h,w]
  %6 = add(%r, %5) : f32[n,8,h,w]
  return %6
}`),
  ).toBe(
    '  %0 = conv2d(%x, @w, @b, %x, %r) {epilogue=["add($2)","lrelu(0.2)","scale(0.2)","add($3)","scale(0.2)","add($4)"], pad=1, stride=1} : f32[n,8,h,w]\n  return %0',
  );
});

test('batch norm folds into the conv before it', () => {
  expect(
    optimized(`graph g(%x: f32[n,4,h,w], ${W('w', '4,4,3,3')}, ${W('s', '4')}, ${W('t', '4')}) {
  %0 = conv2d(%x, @w) {pad=1, stride=1} : f32[n,4,h,w]
  %1 = mul(%0, @s) : f32[n,4,h,w]
  %2 = add(%1, @t) : f32[n,4,h,w]
  return %2
}`),
  ).toBe(`  %0 = scale_out(@w, @s) : f32[4,4,3,3]
  %1 = conv2d(%x, %0, @t) {epilogue=["add($2)"], pad=1, stride=1} : f32[n,4,h,w]
  return %1`);
});

test('a conv with bias and then batch norm keeps one bias', () => {
  expect(
    optimized(`graph g(%x: f32[n,4,h,w], ${W('w', '4,4,3,3')}, ${W('b', '4')}, ${W('s', '4')}, ${W('t', '4')}) {
  %0 = conv2d(%x, @w) {pad=1, stride=1} : f32[n,4,h,w]
  %1 = add(%0, @b) : f32[n,4,h,w]
  %2 = mul(%1, @s) : f32[n,4,h,w]
  %3 = add(%2, @t) : f32[n,4,h,w]
  return %3
}`),
  ).toBe(`  %0 = scale_out(@w, @s) : f32[4,4,3,3]
  %1 = mul(@b, @s) : f32[4]
  %2 = add(%1, @t) : f32[4]
  %3 = conv2d(%x, %0, %2) {epilogue=["add($2)"], pad=1, stride=1} : f32[n,4,h,w]
  return %3`);
});

test('nearest x2 and a 3x3 conv become four 2x2 convs', () => {
  expect(
    optimized(`graph g(%x: f32[n,4,h,w], ${W('w', '4,4,3,3')}) {
  %0 = upsample_nearest(%x) {factor=2} : f32[n,4,2*h,2*w]
  %1 = conv2d(%0, @w) {pad=1, stride=1} : f32[n,4,2*h,2*w]
  return %1
}`),
  ).toBe(`  %0 = phase_weight(@w) : f32[16,4,2,2]
  %1 = conv2d(%x, %0) {pad=1, phases=4, shift=1, stride=1} : f32[n,4,2*h,2*w]
  return %1`);
});

test('a pixel shuffle is the store of the conv before it, and takes the activation after it', () => {
  expect(
    optimized(`graph g(%x: f32[n,4,h,w], ${W('w', '16,4,3,3')}, ${W('b', '16')}, ${W('s', '4')}) {
  %0 = conv2d(%x, @w) {pad=1, stride=1} : f32[n,16,h,w]
  %1 = add(%0, @b) : f32[n,16,h,w]
  %2 = pixel_shuffle(%1) {factor=2} : f32[n,4,2*h,2*w]
  %3 = prelu(%2, @s) : f32[n,4,2*h,2*w]
  return %3
}`),
  ).toBe(`  %0 = shuffle_rows(@w) {factor=2} : f32[16,4,3,3]
  %1 = shuffle_rows(@b) {factor=2} : f32[16]
  %2 = conv2d(%x, %0, %1, @s) {epilogue=["add($2)","prelu($3)"], pad=1, phases=4, shift=0, stride=1} : f32[n,4,2*h,2*w]
  return %2`);
});

test('pointwise chains without a conv share one kernel; a value used twice is not fused away', () => {
  expect(
    optimized(`graph g(%x: f32[n,4,h,w], %r: f32[n,4,h,w]) {
  %0 = relu(%x) : f32[n,4,h,w]
  %1 = scale(%0) {by=2} : f32[n,4,h,w]
  %2 = sub(%r, %1) : f32[n,4,h,w]
  %3 = mul(%2, %2) : f32[n,4,h,w]
  return %3
}`),
  ).toBe(`  %0 = map(%x, %r) {epilogue=["relu","scale(2)","sub($1, v)"]} : f32[n,4,h,w]
  %1 = map(%0, %0) {epilogue=["mul($1)"]} : f32[n,4,h,w]
  return %1`);
});

test('nested concats are flattened, twins shared, unused nodes dropped', () => {
  expect(
    optimized(`graph g(%x: f32[n,4,h,w], %r: f32[n,4,h,w]) {
  %0 = concat(%x, %r) : f32[n,8,h,w]
  %1 = concat(%0, %x) : f32[n,12,h,w]
  %2 = concat(%0, %x) : f32[n,12,h,w]
  %3 = concat(%1, %2) : f32[n,24,h,w]
  %4 = neg(%x) : f32[n,4,h,w]
  return %3
}`),
  ).toBe(`  %0 = concat(%x, %r, %x, %x, %r, %x) : f32[n,24,h,w]
  return %0`);
});
