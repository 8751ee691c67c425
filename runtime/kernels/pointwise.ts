// The table of pointwise rows: each with its WGSL on f32 registers and its value in f64. Fused epilogues, the map
// kernel and the graph's pointwise ops all come from here, so an operation exists once.
//
// WGSL leaves overflow undefined, so rows never let `exp` or `tanh` overflow.

import { internal } from '../../diagnostics.js';
import type { PointwiseOperand, PointwiseStep } from './kernel.js';
import { LITERALS, type Numbers, type Width } from './text.js';

export interface PointwiseRow {
  readonly arity: 1 | 2;
  /** Name of the row's constant, where it has one. */
  readonly attr?: string;
  /** Defined for positive values alone: what tests give it. */
  readonly positive?: true;
  /** An expression of type `Value` (`vec4<f32>` or `f32`) over variables `v` and `operand` and a literal `attr`. */
  wgsl(v: string, operand: string, attr: string): string;
  reference(v: number, operand: number, attr: number): number;
}

/** Beyond this `exp` is 0 or overflows in f32. */
const EXP_LIMIT = 87;
/** `tanh` is 1 in f32 from 9.02 on. */
const TANH_LIMIT = 10;

const ROWS = {
  detach: unary(
    (v) => v,
    (v) => v,
  ),
  neg: unary(
    (v) => `-${v}`,
    (v) => -v,
  ),
  abs: unary((v) => `abs(${v})`, Math.abs),
  sign: unary((v) => `sign(${v})`, Math.sign),
  // Not `max`, which may make 0 of NaN: a divergence must be seen where it begins.
  relu: unary(
    (v) => `select(${v}, Value(0), ${v} < Value(0))`,
    (v) => Math.max(v, 0),
  ),
  lrelu: constant(
    'slope',
    (v, slope) => `select(${v} * ${slope}, ${v}, ${v} > Value(0))`,
    (v, slope) => (v > 0 ? v : v * slope),
  ),
  sigmoid: unary(
    (v) => `1 / (1 + exp(-max(${v}, Value(-${EXP_LIMIT}))))`,
    (v) => 1 / (1 + Math.exp(-v)),
  ),
  tanh: unary((v) => `tanh(clamp(${v}, Value(-${TANH_LIMIT}), Value(${TANH_LIMIT})))`, Math.tanh),
  softplus: unary(
    (v) => `max(${v}, Value(0)) + log(1 + exp(-abs(${v})))`,
    (v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v))),
  ),
  exp: unary((v) => `exp(min(${v}, Value(${EXP_LIMIT})))`, Math.exp),
  log: positive(unary((v) => `log(${v})`, Math.log)),
  sqrt: positive(unary((v) => `sqrt(${v})`, Math.sqrt)),
  rsqrt: positive(
    unary(
      (v) => `inverseSqrt(${v})`,
      (v) => 1 / Math.sqrt(v),
    ),
  ),
  square: unary(
    (v) => `${v} * ${v}`,
    (v) => v * v,
  ),
  /** The gradient of relu. */
  step: unary(
    (v) => `select(Value(0), Value(1), ${v} > Value(0))`,
    (v) => (v > 0 ? 1 : 0),
  ),
  scale: constant(
    'by',
    (v, by) => `${v} * ${by}`,
    (v, by) => v * by,
  ),
  offset: constant(
    'by',
    (v, by) => `${v} + ${by}`,
    (v, by) => v + by,
  ),
  add: binary(
    (a, b) => `${a} + ${b}`,
    (a, b) => a + b,
  ),
  sub: binary(
    (a, b) => `${a} - ${b}`,
    (a, b) => a - b,
  ),
  mul: binary(
    (a, b) => `${a} * ${b}`,
    (a, b) => a * b,
  ),
  div: positive(
    binary(
      (a, b) => `${a} / ${b}`,
      (a, b) => a / b,
    ),
  ),
  maximum: binary((a, b) => `max(${a}, ${b})`, Math.max),
  minimum: binary((a, b) => `min(${a}, ${b})`, Math.min),
  greater: binary(
    (a, b) => `select(Value(0), Value(1), ${a} > ${b})`,
    (a, b) => (a > b ? 1 : 0),
  ),
  prelu: binary(
    (v, slope) => `select(${v} * ${slope}, ${v}, ${v} > Value(0))`,
    (v, slope) => (v > 0 ? v : v * slope),
  ),
  /** What relu lets through of a gradient, by its input or output: one row, so that a conv's epilogue can end in it. */
  relu_grad: binary(
    (dy, y) => `select(Value(0), ${dy}, ${y} > Value(0))`,
    (dy, y) => (y > 0 ? dy : 0),
  ),
  /** The same of lrelu; by its output where the slope is above 0. */
  lrelu_grad: {
    arity: 2,
    attr: 'slope',
    wgsl: (dy, y, slope) => `select(${dy} * ${slope}, ${dy}, ${y} > Value(0))`,
    reference: (dy, y, slope) => (y > 0 ? dy : dy * slope),
  },
  /** The gradient of prelu with respect to its input. */
  prelu_mask: binary(
    (v, slope) => `select(${slope}, Value(1), ${v} > Value(0))`,
    (v, slope) => (v > 0 ? 1 : slope),
  ),
} satisfies Readonly<Record<string, PointwiseRow>>;

export type PointwiseName = keyof typeof ROWS;

export const POINTWISE: Readonly<Record<string, PointwiseRow>> = ROWS;

/**
 * WGSL that takes the variable `v`, four channels at a time those of `group`, through `steps`; `load` gives the
 * expression that loads the group `group` of an operand at the position of `v`.
 */
export function applySteps(
  steps: readonly PointwiseStep[],
  load: (operand: PointwiseOperand, group: string) => string,
  numbers: Numbers = LITERALS,
  width: Width = 4,
): string[] {
  return steps.map((step) => {
    const row = POINTWISE[step.op] ?? internal(`no pointwise row "${step.op}"`);
    if ((row.arity === 2) !== (step.operand !== undefined))
      internal(`${step.op} takes ${row.arity} operands`);
    if ((row.attr === undefined) !== (step.attr === undefined))
      internal(`${step.op} takes ${row.attr ?? 'no constant'}`);
    const attr = row.attr && step.attr !== undefined ? numbers.constant(row.attr, step.attr) : '';
    const [from, to] = (step.channels ?? []).map((channel) =>
      numbers.count('channel', Math.ceil(channel / width)),
    );
    const [a, b] = step.swapped ? ['operand', 'v'] : ['v', 'operand'];
    const group = from === undefined ? 'group' : `(group - ${from})`;
    const line = step.operand
      ? `{ let operand = ${load(step.operand, group)}; v = ${row.wgsl(a, b, attr)}; }`
      : `v = ${row.wgsl('v', '', attr)};`;
    return from === undefined ? line : `if (group >= ${from} && group < ${to}) { ${line} }`;
  });
}

function positive(row: PointwiseRow): PointwiseRow {
  return { ...row, positive: true };
}

function unary(wgsl: (v: string) => string, reference: (v: number) => number): PointwiseRow {
  return { arity: 1, wgsl, reference: (v) => reference(v) };
}

function binary(
  wgsl: (a: string, b: string) => string,
  reference: (a: number, b: number) => number,
): PointwiseRow {
  return { arity: 2, wgsl, reference: (a, b) => reference(a, b) };
}

function constant(
  attr: string,
  wgsl: (v: string, attr: string) => string,
  reference: (v: number, attr: number) => number,
): PointwiseRow {
  return {
    arity: 1,
    attr,
    wgsl: (v, _, value) => wgsl(v, value),
    reference: (v, _, value) => reference(v, value),
  };
}
