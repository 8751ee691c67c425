// The epilogue: pointwise steps that a kernel applies to its result before storing it. In the graph it is an
// attribute, a list of texts over the node's operands:
//   lrelu(0.2)      a row with its constant
//   add($3)         a row whose second operand is the node's operand 3 (a tensor, or one value per channel)
//   sub($3, v)      the value in registers is the row's second operand: operand 3 minus the value
//   lrelu_grad($3, 0.2), lrelu_grad($3, v, 0.2)   a row with an operand and a constant

import { internal } from '../../diagnostics.js';
import { applyRow } from '../../runtime/constants.js';
import { POINTWISE } from '../../runtime/kernels/pointwise.js';
import type { Attrs, AttrValue, Node, TensorType } from '../graph.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { nchw } from './op.js';
import { isPointwise, pointwiseAttr } from './pointwise.js';

export interface EpilogueStep {
  readonly op: string;
  readonly attr?: number;
  /** Index into the node's inputs. */
  readonly operand?: number;
  readonly swapped?: boolean;
}

export function printStep({ op, attr, operand, swapped }: EpilogueStep): string {
  const args = [
    ...(operand === undefined ? [] : [`$${operand}`]),
    ...(swapped ? ['v'] : []),
    ...(attr === undefined ? [] : [attr]),
  ];
  return args.length ? `${op}(${args.join(', ')})` : op;
}

function parseStep(text: string): EpilogueStep {
  const [, op, list] = /^(\w+)(?:\((.+)\))?$/.exec(text) ?? [];
  if (!op || !isPointwise(op)) return internal(`"${text}" is not an epilogue step`);
  const args = list?.split(', ') ?? [];
  const operand = args.find((arg) => arg.startsWith('$'));
  const attr = args.find((arg) => !arg.startsWith('$') && arg !== 'v');
  return {
    op,
    ...(attr !== undefined && { attr: Number(attr) }),
    ...(operand !== undefined && { operand: Number(operand.slice(1)) }),
    ...(args.includes('v') && { swapped: true }),
  };
}

/** The epilogue of a fused node; none when it has no such attribute. */
export function epilogueOf({ epilogue }: Attrs): EpilogueStep[] {
  return stepsOf(epilogue);
}

/** What a kernel does to its operand 0 before anything else, in the same form. */
export function prologueOf({ prologue }: Attrs): EpilogueStep[] {
  return stepsOf(prologue);
}

function stepsOf(texts: AttrValue | undefined): EpilogueStep[] {
  return Array.isArray(texts) ? texts.map((text) => parseStep(String(text))) : [];
}

/** A pointwise node as the one step it is. Its value in registers is operand 0. */
export function stepOf(node: Node): EpilogueStep {
  const attr = pointwiseAttr(node.op, node.attrs);
  return {
    op: node.op,
    ...(attr !== undefined && { attr }),
    ...(node.inputs.length === 2 && { operand: 1 }),
  };
}

export function applySteps(value: Tensor, inputs: readonly Tensor[], steps: readonly EpilogueStep[]): Tensor {
  return steps.reduce((v, { op, attr = 0, operand, swapped }) => {
    const row = POINTWISE[op] ?? internal(`no pointwise row ${op}`);
    const other = operand === undefined ? undefined : spreadPhases(inputs[operand]!, v.shape);
    if (!other) return applyRow(row, [v], attr);
    return applyRow(row, swapped ? [other, v] : [v, other], attr);
  }, value);
}

/** A vector with values for every phase of a phased conv, `[P*C]`, as a tensor of the interleaved result's shape. */
function spreadPhases(vector: Tensor, shape: readonly number[]): Tensor {
  if (shape.length !== 4 || vector.shape.length !== 1 || vector.shape[0] === shape[1]) return vector;
  const [, channels, height, width] = nchw(shape);
  const r = Math.sqrt(vector.data.length / channels);
  const data = Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
    const [x, y, c] = [
      i % width,
      Math.floor(i / width) % height,
      Math.floor(i / (width * height)) % channels,
    ];
    return vector.data[((y % r) * r + (x % r)) * channels + c]!;
  });
  return { shape, data };
}

/** Operands of the epilogue that hold one value per channel. */
export function isVector(type: TensorType): boolean {
  return type.shape.length === 1;
}
