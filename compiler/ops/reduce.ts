// Reductions and their adjoint. `keep` says what is left: "none" a scalar, "channel" one value per channel. Sums run
// in fixed order, so the same program gives the same bits. A mean with `ddof` divides by that much less than the count
// (1: the unbiased variance).

import type { Attrs, TensorType } from '../graph.js';
import { sizeOf, type Tensor, zeros } from '../tensor.js';
import { GLOBAL_REACH, type Op, POINTWISE_REACH } from './op.js';

function keepsChannel(attrs: Attrs): boolean {
  return attrs.keep === 'channel';
}

function reducedShape([x]: readonly TensorType[], attrs: Attrs): TensorType {
  return { shape: keepsChannel(attrs) ? [x!.shape[1]!] : [] };
}

/** The index in the reduced tensor of element `i` of a tensor of `shape`. */
function slotOf(shape: readonly number[], attrs: Attrs): (i: number) => number {
  if (!keepsChannel(attrs)) return () => 0;
  const plane = sizeOf(shape.slice(2));
  const channels = shape[1]!;
  return (i) => Math.floor(i / plane) % channels;
}

function sum(x: Tensor, attrs: Attrs, shape: readonly number[]): Tensor {
  const y = zeros(shape);
  const slot = slotOf(x.shape, attrs);
  x.data.forEach((value, i) => {
    y.data[slot(i)]! += value;
  });
  return y;
}

function ddofOf(attrs: Attrs): number {
  return Number(attrs.ddof ?? 0);
}

/** The attribute as it was written, if it was. */
function ddof({ ddof }: Attrs): Attrs {
  return ddof === undefined ? {} : { ddof };
}

const SAMPLES = [
  { inputs: [[2, 3, 2, 2]], attrs: { keep: 'none' } },
  { inputs: [[2, 3, 2, 2]], attrs: { keep: 'channel' } },
];

const reduceSumOp: Op = {
  name: 'reduce_sum',
  shape: reducedShape,
  reference: ([x], attrs, shape) => sum(x!, attrs, shape),
  gradient: ({ node, dy, emit }) => [emit('expand', [dy, node.inputs[0]!], { mean: false })],
  macs: () => 0,
  reach: () => GLOBAL_REACH,
  launch: 'reference',
  samples: SAMPLES,
};

const reduceMeanOp: Op = {
  name: 'reduce_mean',
  shape: reducedShape,
  reference([x], attrs, shape) {
    const y = sum(x!, attrs, shape);
    const count = x!.data.length / y.data.length - ddofOf(attrs);
    return { shape, data: y.data.map((value) => value / count) };
  },
  gradient: ({ node, dy, emit }) => [
    emit('expand', [dy, node.inputs[0]!], { ...ddof(node.attrs), mean: true }),
  ],
  macs: () => 0,
  reach: () => GLOBAL_REACH,
  launch: 'reference',
  samples: [...SAMPLES, { inputs: [[2, 3, 2, 2]], attrs: { keep: 'channel', ddof: 1 } }],
};

/** Spreads a scalar or per-channel value over the shape of the second operand; `mean` divides by how often (less `ddof`). */
const expandOp: Op = {
  name: 'expand',
  shape: ([, like]) => like!,
  reference([x, like], attrs, shape) {
    const y = zeros(shape);
    const slot = slotOf(shape, { keep: x!.shape.length === 1 ? 'channel' : 'none' });
    const times = attrs.mean ? like!.data.length / x!.data.length - ddofOf(attrs) : 1;
    return { shape, data: y.data.map((_, i) => x!.data[slot(i)]! / times) };
  },
  gradient: 'nodiff',
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  launch: 'reference',
  samples: [
    { inputs: [[], [2, 3, 2, 2]], attrs: { mean: true } },
    { inputs: [[3], [2, 3, 2, 2]], attrs: { mean: false } },
  ],
};

export const reduceOps: readonly Op[] = [reduceSumOp, reduceMeanOp, expandOp];
