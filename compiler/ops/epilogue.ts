// The epilogue: pointwise steps that a kernel applies to its result before storing it. In the graph it is an
// attribute, a list of texts over the node's operands:
//   lrelu(0.2)      a row with its constant
//   add($3)         a row whose second operand is the node's operand 3 (a tensor, or one value per channel)
//   sub($3, v)      the value in registers is the row's second operand: operand 3 minus the value
//   lrelu_grad($3, 0.2), lrelu_grad($3, v, 0.2)   a row with an operand and a constant
//   relu[8:12], lrelu_grad($3, 0.2)[8:12]         of the channels 8 to 11 alone, which all of operand 3 is for

import { internal } from '../../diagnostics.js';
import { applyRow } from '../../runtime/constants.js';
import { POINTWISE } from '../../runtime/kernels/pointwise.js';
import type { Attrs, AttrValue, Node, TensorType } from '../graph.js';
import { sizeOf, type Tensor, tensor } from '../tensor.js';
import { nchw } from './op.js';
import { isPointwise, pointwiseAttr } from './pointwise.js';

export interface EpilogueStep {
  readonly op: string;
  readonly attr?: number;
  /** Index into the node's inputs. */
  readonly operand?: number;
  readonly swapped?: boolean;
  /** The first of the channels that it changes, and the first after them; all where there is none. */
  readonly channels?: readonly [from: number, to: number];
}

export function printStep({ op, attr, operand, swapped, channels }: EpilogueStep): string {
  const args = [
    ...(operand === undefined ? [] : [`$${operand}`]),
    ...(swapped ? ['v'] : []),
    ...(attr === undefined ? [] : [attr]),
  ];
  return `${op}${args.length ? `(${args.join(', ')})` : ''}${channels ? `[${channels.join(':')}]` : ''}`;
}

function parseStep(text: string): EpilogueStep {
  const [, op, list, from, to] = /^(\w+)(?:\((.+)\))?(?:\[(\d+):(\d+)\])?$/.exec(text) ?? [];
  if (!op || !isPointwise(op)) return internal(`"${text}" is not an epilogue step`);
  const args = list?.split(', ') ?? [];
  const operand = args.find((arg) => arg.startsWith('$'));
  const attr = args.find((arg) => !arg.startsWith('$') && arg !== 'v');
  return {
    op,
    ...(attr !== undefined && { attr: Number(attr) }),
    ...(operand !== undefined && { operand: Number(operand.slice(1)) }),
    ...(args.includes('v') && { swapped: true }),
    ...(from !== undefined && { channels: [Number(from), Number(to)] as const }),
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
  return steps.reduce((all, { op, attr = 0, operand, swapped, channels }) => {
    const row = POINTWISE[op] ?? internal(`no pointwise row ${op}`);
    const v = channels ? channelsOf(all, channels) : all;
    const other = operand === undefined ? undefined : spreadPhases(inputs[operand]!, v.shape);
    const result = applyRow(row, other ? (swapped ? [other, v] : [v, other]) : [v], attr);
    return channels ? withChannels(all, channels, result) : result;
  }, value);
}

function channelsOf({ shape, data }: Tensor, [from, to]: readonly [number, number]): Tensor {
  const [n, c, h, w] = nchw(shape);
  const image = (b: number) => data.subarray((b * c + from) * h * w, (b * c + to) * h * w);
  return tensor([n, to - from, h, w], Array.from({ length: n }, (_, b) => [...image(b)]).flat());
}

function withChannels(all: Tensor, [from, to]: readonly [number, number], some: Tensor): Tensor {
  const [n, c, h, w] = nchw(all.shape);
  const data = all.data.slice();
  const size = (to - from) * h * w;
  for (let b = 0; b < n; b++) data.set(some.data.subarray(b * size, (b + 1) * size), (b * c + from) * h * w);
  return { shape: all.shape, data };
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
