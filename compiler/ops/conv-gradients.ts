// The gradients of a convolution (no phases). The one with respect to the weights, a long sum over all images, a pass
// splits into parts that are summed in order.

import { internal } from '../../diagnostics.js';
import { type Dim, parseDim } from '../../runtime/dims.js';
import { convPacking } from '../../runtime/kernels/conv2d.js';
import { dgrad, wgradParts } from '../../runtime/kernels/conv2d_backward.js';
import type { KernelCall } from '../../runtime/kernels/kernel.js';
import { sumParts } from '../../runtime/kernels/reduce.js';
import type { Attrs, TensorType } from '../graph.js';
import { type Tensor, zeros } from '../tensor.js';
import { forEachRun } from './conv.js';
import { choiceFor, convAttrs, gradientShape, kernelOf, readAs } from './conv-choice.js';
import { type LaunchContext, nchw, num, type Op, POINTWISE_REACH } from './op.js';
import { image } from './types.js';

function extentOf(attrs: Attrs): Dim[] {
  return (attrs.extent as readonly string[]).map((text) => parseDim(text) ?? internal(`bad extent ${text}`));
}

/** Gradient of a conv with respect to its input, whose spatial `extent` (as printed dims) the stride does not determine. */
const dgradOp: Op = {
  name: 'conv2d_dgrad',
  shape([dy, w], attrs) {
    const { n } = image(dy, 'conv2d_dgrad');
    return { shape: [n, kernelOf(w)[1], ...extentOf(attrs)] };
  },
  reference(inputs, attrs, shape) {
    const [dy, w] = inputs as [Tensor, Tensor];
    const dx = zeros(shape);
    const [from, to] = [dy.data, dx.data];
    forEachRun(dx, w, dy, attrs, (xi, wi, yi, { count, xStep, yStep }) => {
      const weight = w.data[wi]!;
      for (let k = 0; k < count; k++) to[xi + k * xStep]! += from[yi + k * yStep]! * weight;
    });
    return dx;
  },
  gradient: ({ node, dy: g, wants, emit, type }) => {
    const [dy, w] = node.inputs as [string, string];
    const { extent: _extent, ...conv } = node.attrs;
    const kernel = type(w).shape.slice(2) as number[];
    return [
      wants(0) ? emit('conv2d', [g, w], conv) : undefined,
      wants(1) ? emit('conv2d_wgrad', [g, dy], { ...conv, kernel }) : undefined,
    ];
  },
  // On average: a pixel meets those taps only that its place between the strides allows.
  macs: ([, w], attrs) => (kernelOf(w)[0] * kernelOf(w)[2] * kernelOf(w)[3]) / num(attrs, 'stride') ** 2,
  reach: ([, w]) => ({ mul: 1, div: 1, add: Math.max(kernelOf(w)[2], kernelOf(w)[3]) }),
  operands: 2,
  launch(context) {
    const { node, types, view, y, packed, epilogue } = context;
    const { stride, pad } = convAttrs(node.attrs);
    const [o, i, kh, kw] = kernelOf(types[1]);
    const choice = choiceFor(context);
    const dy = view(0, readAs(choice));
    const weight = packed(1, convPacking(i, o, 1), readAs(choice));
    return dgrad({ dy, dx: y, weight, kernel: [kh, kw], stride, pad, epilogue: epilogue(), ...choice });
  },
  onnx: 'none',
  samples: [
    {
      inputs: [
        [1, 2, 3, 3],
        [2, 3, 3, 3],
      ],
      attrs: { stride: 1, pad: 1, extent: ['3', '3'] },
    },
    {
      inputs: [
        [1, 3, 3, 3],
        [3, 2, 4, 4],
      ],
      attrs: { stride: 2, pad: 1, extent: ['7', '6'] },
    },
  ],
};

/** Gradient of a conv with respect to its weights; sums over batch and pixels. */
const wgradOp: Op = {
  name: 'conv2d_wgrad',
  shape: (inputs, attrs) => ({ shape: gradientShape(inputs, attrs) }),
  reference: ([x, dy], attrs, shape) => weightGradient(x!, dy!, attrs, shape),
  gradient: 'nodiff',
  macs: ([, dy]) => summands(dy!),
  reach: () => POINTWISE_REACH,
  launch: (context) => launchParts(context, 1),
  onnx: 'none',
  samples: [
    {
      inputs: [
        [1, 2, 4, 4],
        [1, 3, 4, 4],
      ],
      attrs: { stride: 1, pad: 1, kernel: [3, 3] },
    },
  ],
};

/** `partOf` says which of the gradients in `shape` a row of `dy` adds to. */
function weightGradient(
  x: Tensor,
  dy: Tensor,
  attrs: Attrs,
  shape: readonly number[],
  partOf: (row: number) => number = () => 0,
): Tensor {
  const sums = zeros(shape);
  const own = zeros(shape.slice(-4));
  const [, c, h, w] = nchw(dy.shape);
  const [left, right] = [x.data, dy.data];
  forEachRun(x, own, dy, attrs, (xi, wi, yi, { count, xStep, yStep }) => {
    const row = Math.floor(yi / (c * h * w)) * h + (Math.floor(yi / w) % h);
    let sum = 0;
    for (let k = 0; k < count; k++) sum += right[yi + k * yStep]! * left[xi + k * xStep]!;
    sums.data[partOf(row) * own.data.length + wi]! += sum;
  });
  return sums;
}

/** How many products an element of the gradient sums. */
function summands({ shape: [n, , h, w] }: TensorType): number {
  return Number(n) * Number(h) * Number(w);
}

function launchParts(context: LaunchContext, parts: number): KernelCall {
  const { node, types, view, y } = context;
  const [, , kh, kw] = gradientShape(types, node.attrs);
  const { stride, pad } = convAttrs(node.attrs);
  const choice = choiceFor(context);
  const [x, dy] = [view(0, readAs(choice)), view(1, readAs(choice))];
  const partial = { slot: y.slot, dtype: y.dtype };
  return wgradParts({ x, dy, partial, parts, kernel: [kh, kw], stride, pad, ...choice });
}

/** The same in `parts` sums, each over its share of the rows of all images: `[parts, O, I, H, W]`. */
const wgradPartsOp: Op = {
  name: 'conv2d_wgrad_parts',
  shape: (inputs, attrs) => ({ shape: [num(attrs, 'parts'), ...gradientShape(inputs, attrs)] }),
  reference([x, dy], attrs, shape) {
    const [n, , h] = nchw(dy!.shape);
    const share = Math.ceil((n * h) / num(attrs, 'parts'));
    return weightGradient(x!, dy!, attrs, shape, (row) => Math.floor(row / share));
  },
  gradient: 'nodiff',
  macs: ([, dy], attrs) => summands(dy!) / num(attrs, 'parts'),
  reach: () => POINTWISE_REACH,
  launch: (context) => launchParts(context, num(context.node.attrs, 'parts')),
  onnx: 'none',
  samples: [
    {
      inputs: [
        [2, 2, 5, 4],
        [2, 3, 5, 4],
      ],
      attrs: { stride: 1, pad: 1, kernel: [3, 3], parts: 4 },
    },
  ],
};

const sumPartsOp: Op = {
  name: 'sum_parts',
  shape: ([parts]) => ({ shape: parts!.shape.slice(1) }),
  reference([parts], _attrs, shape) {
    const sum = zeros(shape);
    parts!.data.forEach((value, i) => {
      sum.data[i % sum.data.length]! += value;
    });
    return sum;
  },
  gradient: 'nodiff',
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  operands: 1,
  launch: ({ types, view, y, epilogue }) =>
    sumParts({ x: view(0), y, parts: Number(types[0]!.shape[0]), epilogue: epilogue() }),
  onnx: 'none',
  samples: [{ inputs: [[3, 2, 5, 2, 1]] }],
};

export const convGradientOps: readonly Op[] = [dgradOp, wgradOp, wgradPartsOp, sumPartsOp];
