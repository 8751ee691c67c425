// Pointwise ops. What a row computes (WGSL and reference) is in runtime/kernels/pointwise.ts, because kernels apply
// rows in their epilogues; here each row gets its gradient. The second operand of a binary row may be a tensor of
// the same shape, one value per channel ([C]) or a scalar ([]); its gradient is then summed over what was broadcast.

import { internal } from '../../diagnostics.js';
import { applyRow } from '../../runtime/constants.js';
import { map } from '../../runtime/kernels/map.js';
import { POINTWISE, type PointwiseName, type PointwiseRow } from '../../runtime/kernels/pointwise.js';
import type { Ref } from '../graph.js';
import { rowForm } from './onnx.js';
import { type GradientContext, type Op, POINTWISE_REACH, type Sample } from './op.js';
import { broadcastOf, sameShape } from './types.js';

/** Gradient rules see the operands `a` and `b`, the result `y` and its gradient `dy`, and emit graph ops. */
interface Terms {
  readonly a: Ref;
  readonly b: Ref;
  readonly y: Ref;
  readonly dy: Ref;
  readonly attr: Readonly<Record<string, number>>;
  emit(op: string, inputs: readonly Ref[], attr?: number): Ref;
}
type Rule = (terms: Terms) => Ref;

/** For every row, by its type: one rule per operand; none where the op is piecewise constant in it: no gradient flows. */
const GRADIENTS: Readonly<Record<PointwiseName, readonly (Rule | undefined)[]>> = {
  neg: [({ dy, emit }) => emit('neg', [dy])],
  abs: [({ a, dy, emit }) => emit('mul', [dy, emit('sign', [a])])],
  sign: [],
  step: [],
  greater: [],
  prelu_mask: [
    undefined,
    ({ a, dy, emit }) => emit('mul', [dy, emit('offset', [emit('neg', [emit('step', [a])])], 1)]),
  ],
  detach: [],
  // Written in the output, which a fused conv keeps: a positive slope preserves the sign.
  relu: [({ y, dy, emit }) => emit('relu_grad', [dy, y])],
  lrelu: [({ a, y, dy, attr, emit }) => emit('lrelu_grad', [dy, attr.slope! > 0 ? y : a], attr.slope)],
  relu_grad: [({ b, dy, emit }) => emit('relu_grad', [dy, b])],
  lrelu_grad: [({ b, dy, attr, emit }) => emit('lrelu_grad', [dy, b], attr.slope)],
  sigmoid: [({ y, dy, emit }) => emit('mul', [dy, emit('sub', [y, emit('square', [y])])])],
  tanh: [({ y, dy, emit }) => emit('mul', [dy, emit('offset', [emit('neg', [emit('square', [y])])], 1)])],
  softplus: [({ a, dy, emit }) => emit('mul', [dy, emit('sigmoid', [a])])],
  exp: [({ y, dy, emit }) => emit('mul', [dy, y])],
  log: [({ a, dy, emit }) => emit('div', [dy, a])],
  sqrt: [({ y, dy, emit }) => emit('div', [emit('scale', [dy], 0.5), y])],
  rsqrt: [
    ({ y, dy, emit }) => emit('mul', [emit('scale', [dy], -0.5), emit('mul', [y, emit('square', [y])])]),
  ],
  square: [({ a, dy, emit }) => emit('mul', [emit('scale', [dy], 2), a])],
  scale: [({ dy, attr, emit }) => emit('scale', [dy], attr.by)],
  offset: [({ dy }) => dy],
  add: [({ dy }) => dy, ({ dy }) => dy],
  sub: [({ dy }) => dy, ({ dy, emit }) => emit('neg', [dy])],
  mul: [({ b, dy, emit }) => emit('mul', [dy, b]), ({ a, dy, emit }) => emit('mul', [dy, a])],
  div: [
    ({ b, dy, emit }) => emit('div', [dy, b]),
    ({ b, y, dy, emit }) => emit('neg', [emit('div', [emit('mul', [dy, y]), b])]),
  ],
  maximum: [
    ({ a, b, dy, emit }) => emit('mul', [dy, emit('greater', [a, b])]),
    ({ a, b, dy, emit }) => emit('mul', [dy, emit('offset', [emit('neg', [emit('greater', [a, b])])], 1)]),
  ],
  minimum: [
    ({ a, b, dy, emit }) => emit('mul', [dy, emit('offset', [emit('neg', [emit('greater', [a, b])])], 1)]),
    ({ a, b, dy, emit }) => emit('mul', [dy, emit('greater', [a, b])]),
  ],
  prelu: [
    ({ a, b, dy, emit }) => emit('mul', [dy, emit('prelu_mask', [a, b])]),
    ({ a, dy, emit }) => emit('mul', [dy, emit('neg', [emit('relu', [emit('neg', [a])])])]),
  ],
};

/** The gradient `g` of a broadcast operand, summed back to the operand's own shape. */
function unbroadcast(context: GradientContext, g: Ref, operand: Ref): Ref {
  const to = context.type(operand);
  if (sameShape(context.type(g).shape, to.shape)) return g;
  return context.emit('reduce_sum', [g], { keep: to.shape.length === 1 ? 'channel' : 'none' });
}

function record(name: string, row: PointwiseRow, rules: readonly (Rule | undefined)[]): Op {
  return {
    name,
    shape([a, b]) {
      if (!a || (row.arity === 2) !== (b !== undefined))
        return internal(`${name} takes ${row.arity} operands`);
      if (b) broadcastOf(a, b, name);
      return a;
    },
    reference: (inputs, attrs) => applyRow(row, inputs, pointwiseAttr(name, attrs) ?? 0),
    gradient: rules.length === 0 ? 'none' : (context) => gradientsOf(context, rules),
    macs: () => 0,
    reach: () => POINTWISE_REACH,
    launch: (context) => map({ x: context.view(0), y: context.y, steps: context.epilogue() }),
    onnx: rowForm(name, row.attr),
    samples: samplesOf(row),
  };
}

function gradientsOf(context: GradientContext, rules: readonly (Rule | undefined)[]): (Ref | undefined)[] {
  const { node, dy } = context;
  const emit = (op: string, inputs: readonly Ref[], attr?: number): Ref => {
    const key = POINTWISE[op]?.attr;
    return context.emit(
      op,
      inputs,
      key === undefined ? {} : { [key]: attr ?? internal(`${op} needs ${key}`) },
    );
  };
  const [a, b] = node.inputs as [Ref, Ref];
  const terms = { a, b, y: node.ref, dy, attr: node.attrs as Readonly<Record<string, number>>, emit };
  return rules.map((rule, i) =>
    rule && context.wants(i) ? unbroadcast(context, rule(terms), node.inputs[i]!) : undefined,
  );
}

function samplesOf(row: PointwiseRow): Sample[] {
  const attrs = row.attr ? { [row.attr]: 0.3 } : {};
  const { positive = false } = row;
  const image = [2, 3, 2, 2];
  const seconds = row.arity === 1 ? [[]] : [[image], [[3]], [[]]];
  return seconds.map((second) => ({ inputs: [image, ...second], attrs, positive }));
}

export function isPointwise(op: string): boolean {
  return op in POINTWISE;
}

/** The numeric constant of a pointwise node (`slope` of lrelu, `by` of scale), where its row has one. */
export function pointwiseAttr(op: string, attrs: Readonly<Record<string, unknown>>): number | undefined {
  const key = POINTWISE[op]?.attr;
  return key === undefined ? undefined : Number(attrs[key]);
}

export const pointwiseOps: readonly Op[] = Object.entries(GRADIENTS).map(([name, rules]) =>
  record(name, POINTWISE[name]!, rules),
);
