// How ops are said in ONNX (operator set 17): what the form in an op's record sees, and the forms of pointwise rows.

import { internal } from '../../diagnostics.js';
import type { OnnxNode } from '../../formats/onnx.js';
import type { PointwiseName } from '../../runtime/kernels/pointwise.js';
import type { Node, TensorType } from '../graph.js';
import type { EpilogueStep } from './epilogue.js';

/** What a record sees when its node becomes nodes of an ONNX model. Values go by their names. */
export interface OnnxContext {
  readonly node: Node;
  readonly types: readonly TensorType[];
  value(operand: number): string;
  /** The operand as it meets an image: one value per channel has the shape [C, 1, 1]. */
  spread(operand: number): string;
  /** Appends a node and gives its result. */
  emit(op: string, inputs: readonly string[], attrs?: OnnxNode['attrs']): string;
  /** A literal of the activations' type. */
  scalar(value: number): string;
  /** A vector in f32, whatever the activations are. */
  floats(values: readonly number[]): string;
  integers(values: readonly number[]): string;
}

/** Gives the result's name. */
export type OnnxForm = (context: OnnxContext) => string;

/** Of a pointwise row, over its operands and its constant. */
type RowForm = (context: OnnxContext, operands: readonly string[], attr: number) => string;

const plain =
  (op: string): RowForm =>
  ({ emit }, operands) =>
    emit(op, operands);

/** For every row, by its type. What only gradients are made of has none. */
const ROWS: Readonly<Record<PointwiseName, RowForm | 'none'>> = {
  neg: plain('Neg'),
  abs: plain('Abs'),
  sign: plain('Sign'),
  relu: plain('Relu'),
  lrelu: ({ emit }, operands, slope) => emit('LeakyRelu', operands, { alpha: { float: slope } }),
  sigmoid: plain('Sigmoid'),
  tanh: plain('Tanh'),
  softplus: plain('Softplus'),
  exp: plain('Exp'),
  log: plain('Log'),
  sqrt: plain('Sqrt'),
  rsqrt: ({ emit }, operands) => emit('Reciprocal', [emit('Sqrt', operands)]),
  square: ({ emit }, [x]) => emit('Mul', [x!, x!]),
  scale: ({ emit, scalar }, [x], by) => emit('Mul', [x!, scalar(by)]),
  offset: ({ emit, scalar }, [x], by) => emit('Add', [x!, scalar(by)]),
  add: plain('Add'),
  sub: plain('Sub'),
  mul: plain('Mul'),
  div: plain('Div'),
  maximum: plain('Max'),
  minimum: plain('Min'),
  prelu: plain('PRelu'),
  detach: 'none',
  step: 'none',
  greater: 'none',
  prelu_mask: 'none',
  relu_grad: 'none',
  lrelu_grad: 'none',
};

function rowNamed(op: string): RowForm | 'none' {
  return op in ROWS ? ROWS[op as PointwiseName] : internal(`no pointwise row ${op}`);
}

/** The form of a pointwise op whose constant is the attribute `attr`. */
export function rowForm(op: string, attr: string | undefined): OnnxForm | 'none' {
  const row = rowNamed(op);
  if (row === 'none') return 'none';
  return (context) => {
    const operands = context.types.map((_, i) => (i === 0 ? context.value(0) : context.spread(i)));
    return row(context, operands, attr === undefined ? 0 : Number(context.node.attrs[attr]));
  };
}

/** `value` taken through the steps of an epilogue. */
export function emitSteps(context: OnnxContext, value: string, steps: readonly EpilogueStep[]): string {
  return steps.reduce((v, { op, attr = 0, operand, swapped }) => {
    const row = rowNamed(op);
    if (row === 'none') internal(`${op} in an epilogue of an ONNX model`);
    if (operand === undefined) return row(context, [v], attr);
    const other = context.spread(operand);
    return row(context, swapped ? [other, v] : [v, other], attr);
  }, value);
}
