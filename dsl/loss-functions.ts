// Arithmetic and functions of loss expressions. Numbers are computed here and now, tensors become graph primitives, so
// the gradient of every loss comes free.

import type { Attrs, Ref, TensorType } from '../compiler/graph.js';
import { printImage, printType, sameShape } from '../compiler/ops/types.js';
import { fail, type Span } from '../diagnostics.js';
import type { BinaryExpr } from './ast.js';
import { calculate } from './values.js';

export type Operand = number | boolean | TensorOperand;

export interface TensorOperand {
  readonly ref: Ref;
}

/** One expression's place in the graph; a wrong shape becomes a diagnostic at `span`. */
export interface Place {
  readonly span: Span;
  /** The original. */
  readonly hr: Ref;
  /** The original sharpened, an input of its own. */
  sharpened(): Ref;
  emit(op: string, inputs: readonly Ref[], attrs?: Attrs): Ref;
  type(ref: Ref): TensorType;
}

export interface LossFunction {
  readonly doc: string;
  /** As `src show` prints them; a trailing `?` may be left out. */
  readonly params: readonly string[];
  apply(at: Place, ...args: readonly Operand[]): Operand;
}

/** Any argument that must not be a number. */
function tensor(at: Place, value: Operand | undefined): Ref {
  if (typeof value === 'object') return value.ref;
  return fail('this needs an image or features', { span: at.span, label: `not ${value}` });
}

/** `(3, 128, 128)`, or what else a loss may hold. */
export function printTensor(type: TensorType): string {
  if (type.shape.length === 0) return 'one number';
  return type.shape.length === 4 ? printImage(type) : printType(type);
}

function node(at: Place, op: string, inputs: readonly Ref[], attrs?: Attrs): TensorOperand {
  return { ref: at.emit(op, inputs, attrs) };
}

function isScalar(at: Place, ref: Ref): boolean {
  return at.type(ref).shape.length === 0;
}

/** A tensor of `like`'s shape, `value` everywhere. */
function filled(at: Place, value: number | Ref, like: Ref): Ref {
  const nothing = at.emit('scale', [like], { by: 0 });
  return typeof value === 'number'
    ? at.emit('offset', [nothing], { by: value })
    : at.emit('add', [nothing, value]);
}

export function arithmetic(at: Place, op: BinaryExpr['op'], a: Operand, b: Operand): Operand {
  if (typeof a === 'boolean' || typeof b === 'boolean')
    return fail('true and false are not numbers', { span: at.span });
  if (typeof b === 'number')
    return typeof a === 'number' ? calculate(at.span, op, a, b) : withNumber(at, op, a.ref, b);
  if (op === '^') return fail('an exponent must be a number', { span: at.span, help: 'write exp(…)' });
  if (typeof a === 'number') return numberWith(at, op, a, b.ref);
  return tensors(at, op, a.ref, b.ref);
}

function finite(at: Place, value: number): number {
  return Number.isFinite(value)
    ? value
    : fail('this is not a finite number', { span: at.span, label: String(value) });
}

function withNumber(at: Place, op: BinaryExpr['op'], a: Ref, b: number): TensorOperand {
  switch (op) {
    case '+':
      return node(at, 'offset', [a], { by: b });
    case '-':
      return node(at, 'offset', [a], { by: 0 - b }); // -0 would print as 0
    case '*':
      return node(at, 'scale', [a], { by: b });
    case '/':
      return node(at, 'scale', [a], { by: calculate(at.span, '/', 1, b) });
    case '^':
      return power(at, a, b);
  }
}

function numberWith(at: Place, op: '+' | '-' | '*' | '/', a: number, b: Ref): TensorOperand {
  if (op === '+' || op === '*') return withNumber(at, op, b, a);
  if (op === '-') return node(at, 'offset', [at.emit('neg', [b])], { by: a });
  return node(at, 'div', [filled(at, a, b), b]);
}

/** Graph ops take a scalar as second operand only: a scalar first one changes sides, or is spread over the other. */
function tensors(at: Place, op: '+' | '-' | '*' | '/', a: Ref, b: Ref): TensorOperand {
  const [left, right] = [at.type(a), at.type(b)];
  if (left.shape.length > 0 && right.shape.length > 0 && !sameShape(left.shape, right.shape)) {
    fail(`\`${op}\` needs tensors of one shape`, {
      span: at.span,
      notes: [`left: ${printTensor(left)}`, `right: ${printTensor(right)}`],
    });
  }
  if (op === '+' || op === '*') return node(at, op === '+' ? 'add' : 'mul', largerFirst(at, a, b));
  const spread = isScalar(at, a) && !isScalar(at, b);
  return node(at, op === '-' ? 'sub' : 'div', [spread ? filled(at, a, b) : a, b]);
}

/** The operands of a commutative op, a scalar second. */
function largerFirst(at: Place, a: Ref, b: Ref): readonly [Ref, Ref] {
  return isScalar(at, a) ? [b, a] : [a, b];
}

function power(at: Place, x: Ref, exponent: number): TensorOperand {
  if (exponent === 1) return { ref: x };
  if (exponent === 2) return node(at, 'square', [x]);
  if (exponent === 0.5) return node(at, 'sqrt', [x]);
  if (exponent === 3 || exponent === 4)
    return node(at, 'mul', [power(at, x, exponent - 2).ref, at.emit('square', [x])]);
  return fail('this power has no exact form', {
    span: at.span,
    label: `the exponent is ${exponent}`,
    help: 'exponents 0.5, 1, 2, 3 and 4 have one; for positive x write exp(p * log(x))',
  });
}

function elementwise(doc: string, op: string, compute: (x: number) => number): LossFunction {
  return {
    doc,
    params: ['x'],
    apply(at, x) {
      return typeof x === 'number' ? finite(at, compute(x)) : node(at, op, [tensor(at, x)]);
    },
  };
}

function reduction(doc: string, op: 'reduce_mean' | 'reduce_sum'): LossFunction {
  return { doc, params: ['x'], apply: (at, x) => node(at, op, [tensor(at, x)], { keep: 'none' }) };
}

function difference(doc: string, axis: 'h' | 'w'): LossFunction {
  return {
    doc,
    params: ['x'],
    apply(at, x) {
      const ref = tensor(at, x);
      const type = at.type(ref);
      if (type.shape.length !== 4)
        fail('a difference needs an image', { span: at.span, label: `x is ${printTensor(type)}` });
      return node(at, 'forward_difference', [ref], { axis });
    },
  };
}

/** The larger or smaller of each pair; with a number, shifted so that relu does it. */
function extreme(doc: string, op: 'maximum' | 'minimum', sign: 1 | -1): LossFunction {
  return {
    doc,
    params: ['a', 'b'],
    apply(at, a, b) {
      if (typeof a === 'number' && typeof b === 'number') return sign * Math.max(sign * a, sign * b);
      if (typeof a === 'number') return this.apply(at, b!, a);
      if (typeof b !== 'number') return node(at, op, largerFirst(at, tensor(at, a), tensor(at, b)));
      const above = at.emit('scale', [at.emit('offset', [tensor(at, a)], { by: 0 - b })], { by: sign });
      return node(at, 'offset', [at.emit('scale', [at.emit('relu', [above])], { by: sign })], { by: b });
    },
  };
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

export const FUNCTIONS: ReadonlyMap<string, LossFunction> = new Map(
  Object.entries({
    mean: reduction('the mean of all elements', 'reduce_mean'),
    sum: reduction('the sum of all elements', 'reduce_sum'),
    abs: elementwise('|x|', 'abs', Math.abs),
    square: elementwise('x * x', 'square', (x) => x * x),
    sqrt: elementwise('square root', 'sqrt', Math.sqrt),
    exp: elementwise('e^x', 'exp', Math.exp),
    log: elementwise('natural logarithm', 'log', Math.log),
    sigmoid: elementwise('1 / (1 + exp(-x))', 'sigmoid', sigmoid),
    softplus: elementwise(
      'log(1 + exp(x))',
      'softplus',
      (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    ),
    max: extreme('the larger of each pair', 'maximum', 1),
    min: extreme('the smaller of each pair', 'minimum', -1),
    dx: difference('right neighbour minus pixel; one column narrower', 'w'),
    dy: difference('lower neighbour minus pixel; one row shorter', 'h'),
    detach: {
      doc: 'x, through which no gradient flows (unless `on` is false)',
      params: ['x', 'on?'],
      apply: (at: Place, x: Operand, on: Operand = true) =>
        on === false ? x : node(at, 'detach', [tensor(at, x)]),
    },
    usm: {
      doc: 'the original sharpened with an unsharp mask, as the targets of Real-ESRGAN are: only of `hr`',
      params: ['hr'],
      apply(at: Place, image: Operand) {
        if (tensor(at, image) === at.hr) return { ref: at.sharpened() };
        return fail('only originals are sharpened', { span: at.span, help: 'write `usm(hr)`' });
      },
    },
    bce: {
      doc: 'binary cross entropy of logits against a target in [0, 1]: mean(softplus(x) - target * x)',
      params: ['logits', 'target'],
      apply(at: Place, logits: Operand, target: Operand) {
        const x = tensor(at, logits);
        const weighted = arithmetic(at, '*', target, { ref: x });
        const cost = arithmetic(at, '-', node(at, 'softplus', [x]), weighted);
        return node(at, 'reduce_mean', [tensor(at, cost)], { keep: 'none' });
      },
    },
  } satisfies Record<string, LossFunction>),
);
