// Convolution. Its gradients are in conv-gradients.ts. Weights are OIHW, padding is zero on all sides, no dilation, one group.
//
// `phases` > 1 (r*r) is a conv whose result is interleaved: phase p = r*i + j has its own weights (rows p*O … of
// the weight tensor) and makes the pixels (r*y + i, r*x + j). Two passes use it: a pixel shuffle as the store of the
// conv before it (shift 0), and nearest-x2 followed by a 3x3 conv as four 2x2 convs on the small image (shift 1:
// phase (i, j) is padded by pad - i above and pad - j to the left).

import { internal } from '../../diagnostics.js';
import { addDim, type Dim, divDim, isSymbolic, mulDim, printDim } from '../../runtime/dims.js';
import { conv2d, convPacking } from '../../runtime/kernels/conv2d.js';
import type { Attrs } from '../graph.js';
import { type Tensor, zeros } from '../tensor.js';
import { type ConvAttrs, choiceFor, convAttrs, kernelOf, readAs } from './conv-choice.js';
import { epilogueOf, isVector } from './epilogue.js';
import { emitSteps } from './onnx.js';
import { nchw, type Op, ShapeError } from './op.js';
import { image, printImage } from './types.js';

/** `(dim + 2*pad - k) / stride + 1`, for every admissible size of a symbolic `dim`. */
function outputDim(dim: Dim, k: number, { stride, pad, shift }: ConvAttrs): Dim {
  const span = 2 * pad - k - shift;
  const size = isSymbolic(dim)
    ? divDim(addDim(dim, floorTo(span + stride, stride)), stride)
    : Math.floor((dim + span) / stride) + 1;
  if (size === undefined) {
    throw new ShapeError(`a stride of ${stride} does not divide ${printDim(dim)}`);
  }
  if (typeof size === 'number' && size < 1) {
    throw new ShapeError(`a ${k}-wide kernel does not fit ${printDim(dim)} pixels with padding ${pad}`);
  }
  return size;
}

function floorTo(value: number, multiple: number): number {
  return Math.floor(value / multiple) * multiple;
}

const conv2dOp: Op = {
  name: 'conv2d',
  shape([x, w], attrs) {
    const a = convAttrs(attrs);
    const { n, c, h, w: width } = image(x, 'conv');
    const [o, i, kh, kw] = kernelOf(w);
    if (i !== c) throw new ShapeError(`conv weights for ${i} channels meet ${printImage(x!)}`);
    const { r } = a;
    return { shape: [n, o / (r * r), mulDim(outputDim(h, kh, a), r), mulDim(outputDim(width, kw, a), r)] };
  },
  reference(inputs, attrs, shape) {
    const [x, w] = inputs as [Tensor, Tensor];
    const y = zeros(shape);
    const [from, to] = [x.data, y.data];
    forEachRun(x, w, y, attrs, (xi, wi, yi, { count, xStep, yStep }) => {
      const weight = w.data[wi]!;
      for (let k = 0; k < count; k++) to[yi + k * yStep]! += from[xi + k * xStep]! * weight;
    });
    return y;
  },
  gradient({ node, dy, wants, emit, type }) {
    const [x, w] = node.inputs as [string, string];
    if (node.attrs.epilogue || node.attrs.phases) internal('differentiate the unfused graph');
    const extent = (ref: string, from: number) => type(ref).shape.slice(from).map(printDim);
    return [
      wants(0) ? emit('conv2d_dgrad', [dy, w], { ...node.attrs, extent: extent(x, 2) }) : undefined,
      wants(1)
        ? emit('conv2d_wgrad', [x, dy], { ...node.attrs, kernel: type(w).shape.slice(2) as number[] })
        : undefined,
    ];
  },
  macs([, w]) {
    const [, i, kh, kw] = kernelOf(w);
    return i * kh * kw;
  },
  reach([, w], attrs) {
    const { stride, pad, r, shift } = convAttrs(attrs);
    const [, , kh, kw] = kernelOf(w);
    const right = Math.max(kh, kw) - stride - (pad - shift * (r - 1));
    return { mul: stride, div: r, add: Math.max(pad, right, 0) };
  },
  operands: 2,
  launch(context) {
    const { node, types } = context;
    const { stride, pad, r, shift } = convAttrs(node.attrs);
    const [o, i, kh, kw] = kernelOf(types[1]);
    const phases = r * r;
    const choice = choiceFor(context);
    return conv2d({
      x: context.view(0, readAs(choice)),
      y: context.y,
      weight: context.packed(1, convPacking(i, o / phases, phases), readAs(choice)),
      kernel: [kh, kw],
      stride,
      pad,
      phases,
      phaseShift: shift === 1 ? 1 : 0,
      epilogue: context.epilogue(),
      ...choice,
    });
  },
  onnx(context) {
    const { node, types, value, emit } = context;
    const { stride, pad } = convAttrs(node.attrs);
    if (node.attrs.phases) internal('an ONNX model of phases');
    const kernel = kernelOf(types[1]).slice(2);
    const epilogue = epilogueOf(node.attrs);
    const bias = epilogue[0]?.op === 'add' ? epilogue[0].operand : undefined;
    const biased = bias !== undefined && isVector(types[bias]!);
    const y = emit('Conv', [value(0), value(1), ...(biased ? [value(bias)] : [])], {
      kernel_shape: kernel,
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    });
    return emitSteps(context, y, biased ? epilogue.slice(1) : epilogue);
  },
  samples: [
    {
      inputs: [
        [2, 3, 5, 4],
        [2, 3, 3, 3],
      ],
      attrs: { stride: 1, pad: 1 },
    },
    {
      inputs: [
        [1, 2, 7, 6],
        [3, 2, 4, 4],
      ],
      attrs: { stride: 2, pad: 1 },
    },
    {
      inputs: [
        [1, 2, 3, 3],
        [4, 2, 3, 3],
      ],
      attrs: { stride: 1, pad: 0 },
    },
    {
      inputs: [
        [1, 1, 4, 4],
        [2, 1, 2, 3],
      ],
      attrs: { stride: 3, pad: 1 },
    },
  ],
};

/** Consecutive pixels of a row of the output, and the inputs that one weight takes to them. */
interface Run {
  readonly count: number;
  readonly xStep: number;
  readonly yStep: number;
}

/**
 * Visits every (input, weight, output) triple of a conv: the one loop nest behind the conv and both gradients. Told by
 * runs, each from its first triple: whoever loops over those himself is ten times as fast.
 */
export function forEachRun(
  x: Tensor,
  w: Tensor,
  y: Tensor,
  attrs: Attrs,
  visit: (xi: number, wi: number, yi: number, run: Run) => void,
): void {
  const { stride, pad, r, shift } = convAttrs(attrs);
  const [n, ci, xh, xw] = nchw(x.shape);
  const [rows, , kh, kw] = nchw(w.shape);
  const [, , yh, yw] = nchw(y.shape);
  const co = rows / (r * r);
  // By phase of the column and tap: the first column, and the run from there.
  const runs = Array.from({ length: r * kw }, (_, index) => {
    const [j, kx] = [Math.floor(index / kw), index % kw];
    const left = shift * j - pad + kx;
    const first = Math.max(0, Math.ceil(-left / stride));
    const end = Math.min(Math.floor((xw - 1 - left) / stride) + 1, yw / r);
    return { first, left, count: Math.max(0, end - first), xStep: stride, yStep: r };
  });
  for (let b = 0; b < n; b++) {
    for (let o = 0; o < co; o++) {
      for (let oy = 0; oy < yh; oy++) {
        const i = oy % r;
        const top = Math.floor(oy / r) * stride - pad + shift * i;
        for (const [index, run] of runs.entries()) {
          if (run.count === 0) continue;
          const [j, kx] = [Math.floor(index / kw), index % kw];
          const row = (i * r + j) * co + o;
          const yi = ((b * co + o) * yh + oy) * yw + run.first * r + j;
          for (let c = 0; c < ci; c++) {
            for (let ky = Math.max(0, -top); ky < Math.min(kh, xh - top); ky++) {
              const xi = ((b * ci + c) * xh + top + ky) * xw + run.first * stride + run.left;
              visit(xi, ((row * ci + c) * kh + ky) * kw + kx, yi, run);
            }
          }
        }
      }
    }
  }
}

export const convOps: readonly Op[] = [conv2dOp];
