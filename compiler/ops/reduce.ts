// Reductions and their adjoint. `keep` says what is left: "none" a scalar, "channel" one value per channel. Sums run
// in fixed order, so the same program gives the same bits. A mean with `ddof` divides by that much less than the count
// (1: the unbiased variance).
//
// On a device one workgroup per four channels makes a whole sum. That is slow for images: a pass sums their columns
// first (`sum_columns`) and then what is left (`sum_rows`).

import { internal } from '../../diagnostics.js';
import { isSymbolic, parseDim, printDim } from '../../runtime/dims.js';
import type { View } from '../../runtime/kernels/kernel.js';
import { expand, type Keep, type Lanes, sumColumns, sumRows } from '../../runtime/kernels/reduce.js';
import type { Attrs, TensorType } from '../graph.js';
import type { Target } from '../target.js';
import { sizeOf, type Tensor, zeros } from '../tensor.js';
import {
  GLOBAL_REACH,
  type GradientRule,
  type LaunchContext,
  type Op,
  POINTWISE_REACH,
  ShapeError,
} from './op.js';
import { image, printType } from './types.js';

function keepOf(attrs: Attrs): Keep {
  return attrs.keep === 'channel' ? 'channel' : 'none';
}

function reducedShape([x]: readonly TensorType[], attrs: Attrs): TensorType {
  return { shape: keepOf(attrs) === 'channel' ? [x!.shape[1]!] : [] };
}

/** The index in the reduced tensor of element `i` of a tensor of `shape`. */
function slotOf(shape: readonly number[], keep: Keep): (i: number) => number {
  if (keep === 'none') return () => 0;
  const plane = sizeOf(shape.slice(2));
  const channels = shape[1]!;
  return (i) => Math.floor(i / plane) % channels;
}

function sum(x: Tensor, attrs: Attrs, shape: readonly number[], divisor = 1): Tensor {
  const y = zeros(shape);
  const slot = slotOf(x.shape, keepOf(attrs));
  x.data.forEach((value, i) => {
    y.data[slot(i)]! += value;
  });
  return { shape, data: y.data.map((value) => value / divisor) };
}

/** What a mean of a tensor of `shape` divides by. */
export function divisorOf(shape: readonly number[], attrs: Attrs): number {
  const channels = keepOf(attrs) === 'channel' ? shape[1]! : 1;
  return sizeOf(shape) / channels - Number(attrs.ddof ?? 0);
}

/** The gradient: the value spread over the operand again, divided as the mean was. */
const spread =
  (attrs: (node: Attrs) => Attrs): GradientRule =>
  ({ node, dy, emit, type }) => {
    const shape = type(node.inputs[0]!).shape.map(printDim);
    return [emit('expand', [dy], { ...attrs(node.attrs), shape })];
  };

/** The pixels of all images, one below the other. */
function asColumn(x: View): View {
  const pixels = x.dims.reduce<number>(
    (product, dim) => product * (isSymbolic(dim) ? internal('a sum needs a fixed size') : dim),
    1,
  );
  return { ...x, dims: [1, pixels, 1] };
}

/** How many invocations sum together. */
function lanesOf({ software }: Target): Lanes {
  return software ? 64 : 256;
}

function launchSum(context: LaunchContext, mean: boolean) {
  const { node, types, target, view, y } = context;
  const divisor = mean ? divisorOf(types[0]!.shape as readonly number[], node.attrs) : 1;
  const steps = { prologue: context.prologue(), epilogue: context.epilogue() };
  const lanes = lanesOf(target);
  return sumRows({ x: asColumn(view(0)), y, keep: keepOf(node.attrs), divisor, lanes, ...steps });
}

const SAMPLES = [
  { inputs: [[2, 3, 2, 2]], attrs: { keep: 'none' } },
  { inputs: [[2, 3, 2, 2]], attrs: { keep: 'channel' } },
];

const reduceSumOp: Op = {
  name: 'reduce_sum',
  shape: reducedShape,
  reference: ([x], attrs, shape) => sum(x!, attrs, shape),
  gradient: spread(() => ({ mean: false })),
  macs: () => 0,
  reach: () => GLOBAL_REACH,
  operands: 1,
  prologue: true,
  launch: (context) => launchSum(context, false),
  onnx: 'none',
  samples: [...SAMPLES, { inputs: [[5]], attrs: { keep: 'none' } }],
};

const reduceMeanOp: Op = {
  name: 'reduce_mean',
  shape(inputs, attrs) {
    const { shape } = inputs[0]!;
    if (!shape.some(isSymbolic) && divisorOf(shape as readonly number[], attrs) < 1) {
      throw new ShapeError(
        `one value has no variance: ${printType(inputs[0]!)}`,
        'use a larger batch or patch',
      );
    }
    return reducedShape(inputs, attrs);
  },
  reference: ([x], attrs, shape) => sum(x!, attrs, shape, divisorOf(x!.shape, attrs)),
  gradient: spread(({ ddof }) => ({ mean: true, ...(ddof !== undefined && { ddof }) })),
  macs: () => 0,
  reach: () => GLOBAL_REACH,
  operands: 1,
  prologue: true,
  launch: (context) => launchSum(context, true),
  onnx: 'none',
  samples: [...SAMPLES, { inputs: [[2, 3, 2, 2]], attrs: { keep: 'channel', ddof: 1 } }],
};

/** `[n, C, h, w]` to `[n, C, h, 1]`. */
const sumColumnsOp: Op = {
  name: 'sum_columns',
  shape([x]) {
    const { n, c, h } = image(x, 'sum_columns');
    return { shape: [n, c, h, 1] };
  },
  reference([x], _attrs, shape) {
    const y = zeros(shape);
    const width = x!.shape[3]!;
    x!.data.forEach((value, i) => {
      y.data[Math.floor(i / width)]! += value;
    });
    return y;
  },
  gradient: 'nodiff',
  macs: () => 0,
  reach: () => GLOBAL_REACH,
  prologue: true,
  launch: ({ view, y, prologue }) => sumColumns({ x: view(0), y, prologue: prologue() }),
  onnx: 'none',
  samples: [
    { inputs: [[2, 3, 4, 5]] },
    // The padding of three channels must not be summed.
    {
      inputs: [[2, 3, 4, 5], [3], [2, 3, 4, 5]],
      attrs: { prologue: ['offset(2)', 'mul($1)', 'sub($2, v)'] },
    },
  ],
};

/** What `sum_columns` left, summed to one pixel or scalar and divided by `divisor`. */
const sumRowsOp: Op = {
  name: 'sum_rows',
  shape: reducedShape,
  reference: ([x], attrs, shape) => sum(x!, attrs, shape, Number(attrs.divisor)),
  gradient: 'nodiff',
  macs: () => 0,
  reach: () => GLOBAL_REACH,
  operands: 1,
  launch({ node, target, view, y, epilogue }) {
    const { divisor, keep } = { divisor: Number(node.attrs.divisor), keep: keepOf(node.attrs) };
    return sumRows({ x: view(0), y, keep, divisor, lanes: lanesOf(target), epilogue: epilogue() });
  },
  onnx: 'none',
  samples: [
    { inputs: [[2, 3, 4, 1]], attrs: { keep: 'none', divisor: 1 } },
    { inputs: [[2, 3, 4, 1]], attrs: { keep: 'channel', divisor: 7 } },
    { inputs: [[2, 3, 4, 1], []], attrs: { keep: 'none', divisor: 1, epilogue: ['offset(1)', 'mul($1)'] } },
    { inputs: [[2, 3, 4, 1], [3]], attrs: { keep: 'channel', divisor: 1, epilogue: ['add($1)'] } },
  ],
};

/** Spreads a scalar or per-channel value over `shape` (printed dims); `mean` divides by how often (less `ddof`). */
const expandOp: Op = {
  name: 'expand',
  shape: (_inputs, attrs) => ({
    shape: (attrs.shape as readonly string[]).map((dim) => parseDim(dim) ?? internal(`bad extent ${dim}`)),
  }),
  reference([x], attrs, shape) {
    const y = zeros(shape);
    const keep = spreadBy(x!.shape);
    const slot = slotOf(shape, keep);
    const times = attrs.mean ? divisorOf(shape, { ...attrs, keep }) : 1;
    return { shape, data: y.data.map((_, i) => x!.data[slot(i)]! / times) };
  },
  gradient: ({ node, dy, emit, type }) => {
    const { mean, ddof } = node.attrs;
    const keep = spreadBy(type(node.inputs[0]!).shape);
    return mean
      ? [emit('reduce_mean', [dy], { keep, ...(ddof !== undefined && { ddof }) })]
      : [emit('reduce_sum', [dy], { keep })];
  },
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  operands: 1,
  launch: ({ node, types, view, y, epilogue }) => {
    const keep = spreadBy(types[0]!.shape);
    const shape = node.type.shape as readonly number[];
    const divisor = node.attrs.mean ? divisorOf(shape, { ...node.attrs, keep }) : 1;
    return expand({ x: view(0), y, keep, epilogue: epilogue(), divisor });
  },
  onnx: 'none',
  samples: [
    { inputs: [[]], attrs: { mean: true, shape: ['2', '3', '2', '2'] } },
    { inputs: [[3]], attrs: { mean: false, shape: ['2', '3', '2', '2'] } },
    { inputs: [[3]], attrs: { mean: true, ddof: 1, shape: ['2', '3', '2', '2'] } },
  ],
};

function spreadBy(shape: readonly unknown[]): Keep {
  return shape.length === 1 ? 'channel' : 'none';
}

export const reduceOps: readonly Op[] = [reduceSumOp, reduceMeanOp, sumColumnsOp, sumRowsOp, expandOp];
