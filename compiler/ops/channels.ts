// Ops that only move what they are given: concat and slice with their adjoints, batches as one, pixel shuffle and unshuffle (each other's
// adjoint), vectors as single pixels and back. Channel order of the shuffle is PyTorch's: channel c*r*r + i*r + j goes
// to pixel (r*y + i, r*x + j).

import { divDim, mulDim, printDim } from '../../runtime/dims.js';
import { copy, pixelShuffle, pixelUnshuffle, stack } from '../../runtime/kernels/gather.js';
import { padChannels } from '../../runtime/kernels/gather_adjoint.js';
import { type Tensor, tensor, zeros } from '../tensor.js';
import { nchw, num, type Op, POINTWISE_REACH, ShapeError } from './op.js';
import { image, printImage, sameShape } from './types.js';

/** Copies `count` channels of every sample from `from` (starting at `at`) into `to` (starting at `into`). */
function moveChannels(from: Tensor, at: number, to: Tensor, into: number, count: number): void {
  const [n, c, h, w] = nchw(from.shape);
  const channels = to.shape[1]!;
  const plane = h * w;
  for (let b = 0; b < n; b++) {
    const start = (b * c + at) * plane;
    to.data.set(from.data.subarray(start, start + count * plane), (b * channels + into) * plane);
  }
}

const concatOp: Op = {
  name: 'concat',
  shape(inputs) {
    const images = inputs.map((type) => image(type, 'concat'));
    const { n, h, w } = images[0]!;
    images.forEach((other, k) => {
      if (!sameShape([h, w], [other.h, other.w])) {
        throw new ShapeError(
          `concat joins images of one size, got ${printImage(inputs[0]!)} and ${printImage(inputs[k]!)}`,
        );
      }
    });
    return { shape: [n, images.reduce((sum, { c }) => sum + c, 0), h, w] };
  },
  reference(inputs, _attrs, shape) {
    const y = zeros(shape);
    let at = 0;
    for (const x of inputs) {
      moveChannels(x, 0, y, at, x.shape[1]!);
      at += x.shape[1]!;
    }
    return y;
  },
  gradient({ node, dy, wants, emit, type }) {
    let at = 0;
    return node.inputs.map((ref, i) => {
      const from = at;
      at += image(type(ref), 'concat').c;
      return wants(i) ? emit('slice', [dy], { from, to: at }) : undefined;
    });
  },
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  // A concat that placement could not remove copies one operand per step: lowering expands it.
  launch: (context) => copy({ x: context.view(0), y: context.y }),
  onnx: ({ node, value, emit }) =>
    emit(
      'Concat',
      node.inputs.map((_, i) => value(i)),
      { axis: 1 },
    ),
  samples: [
    {
      inputs: [
        [2, 1, 2, 3],
        [2, 3, 2, 3],
        [2, 2, 2, 3],
      ],
    },
  ],
};

const sliceOp: Op = {
  name: 'slice',
  shape([x], attrs) {
    const { n, c, h, w } = image(x, 'slice');
    const [from, to] = [num(attrs, 'from'), num(attrs, 'to')];
    if (from < 0 || to > c || from >= to) throw new ShapeError(`slice ${from}..${to} of ${c} channels`);
    return { shape: [n, to - from, h, w] };
  },
  reference([x], attrs, shape) {
    const y = zeros(shape);
    moveChannels(x!, num(attrs, 'from'), y, 0, shape[1]!);
    return y;
  },
  gradient: ({ node, dy, emit, type }) => {
    const from = num(node.attrs, 'from');
    const after = image(type(node.inputs[0]!), 'slice').c - num(node.attrs, 'to');
    return [emit('pad_channels', [dy], { before: from, after })];
  },
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  launch(context) {
    const x = context.view(0);
    return copy({
      x: { ...x, offset: x.offset + num(context.node.attrs, 'from'), channels: context.y.channels },
      y: context.y,
    });
  },
  onnx: 'none',
  samples: [{ inputs: [[2, 5, 2, 3]], attrs: { from: 1, to: 4 } }],
};

/** Zeros around the channels: the adjoint of slice. */
const padChannelsOp: Op = {
  name: 'pad_channels',
  shape([x], attrs) {
    const { n, c, h, w } = image(x, 'pad_channels');
    return { shape: [n, num(attrs, 'before') + c + num(attrs, 'after'), h, w] };
  },
  reference([x], attrs, shape) {
    const y = zeros(shape);
    moveChannels(x!, 0, y, num(attrs, 'before'), x!.shape[1]!);
    return y;
  },
  gradient({ node, dy, emit, type }) {
    const from = num(node.attrs, 'before');
    return [emit('slice', [dy], { from, to: from + image(type(node.inputs[0]!), 'pad_channels').c })];
  },
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  launch: ({ node, view, y }) => padChannels({ x: view(0), y, before: num(node.attrs, 'before') }),
  onnx: 'none',
  samples: [{ inputs: [[2, 2, 2, 3]], attrs: { before: 1, after: 2 } }],
};

/** The images of two batches as one. */
const stackOp: Op = {
  name: 'stack',
  shape([a, b]) {
    const [first, second] = [image(a, 'stack'), image(b, 'stack')];
    if (!sameShape(a!.shape.slice(1), b!.shape.slice(1))) {
      throw new ShapeError(`stack takes images of one size, got ${printImage(a!)} and ${printImage(b!)}`);
    }
    return { shape: [Number(first.n) + Number(second.n), ...a!.shape.slice(1)] };
  },
  reference: ([a, b], _attrs, shape) => tensor(shape, [...a!.data, ...b!.data]),
  gradient: 'nodiff',
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  launch: ({ view, y }) => stack({ x: view(0), second: view(1), y }),
  onnx: 'none',
  samples: [
    {
      inputs: [
        [2, 5, 2, 3],
        [1, 5, 2, 3],
      ],
    },
  ],
};

/** Walks all elements of the small image (c*r*r channels) beside the big one (c channels). */
function shuffle(small: Tensor, big: Tensor, r: number, move: (small: number, big: number) => void): void {
  const [n, c, h, w] = nchw(big.shape);
  const [, , sh, sw] = nchw(small.shape);
  for (let plane = 0; plane < n * c; plane++) {
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const phase = (y % r) * r + (x % r);
        move(
          ((plane * r * r + phase) * sh + Math.floor(y / r)) * sw + Math.floor(x / r),
          (plane * h + y) * w + x,
        );
      }
    }
  }
}

const pixelShuffleOp: Op = {
  name: 'pixel_shuffle',
  shape([x], attrs) {
    const { n, c, h, w } = image(x, 'pixelshuffle');
    const r = num(attrs, 'factor');
    if (c % (r * r) !== 0) {
      throw new ShapeError(
        `pixelshuffle(${r}) spreads ${r * r} channels over each pixel, but ${c} channels do not divide by ${r * r}`,
        `make the layer before it ${r * r} times as wide as the result: \`conv(${r * r}*features)\``,
      );
    }
    return { shape: [n, c / (r * r), mulDim(h, r), mulDim(w, r)] };
  },
  reference([x], attrs, shape) {
    const y = zeros(shape);
    shuffle(x!, y, num(attrs, 'factor'), (small, big) => {
      y.data[big] = x!.data[small]!;
    });
    return y;
  },
  gradient: ({ node, dy, emit }) => [emit('pixel_unshuffle', [dy], node.attrs)],
  macs: () => 0,
  reach: (_inputs, attrs) => ({ mul: 1, div: num(attrs, 'factor'), add: 0 }),
  launch: (context) =>
    pixelShuffle({ x: context.view(0), y: context.y, factor: num(context.node.attrs, 'factor') }),
  onnx: ({ node, value, emit }) =>
    emit('DepthToSpace', [value(0)], { blocksize: num(node.attrs, 'factor'), mode: 'CRD' }),
  samples: [
    { inputs: [[2, 8, 2, 3]], attrs: { factor: 2 } },
    { inputs: [[1, 9, 1, 2]], attrs: { factor: 3 } },
  ],
};

const pixelUnshuffleOp: Op = {
  name: 'pixel_unshuffle',
  shape([x], attrs) {
    const { n, c, h, w } = image(x, 'pixelunshuffle');
    const r = num(attrs, 'factor');
    const [height, width] = [divDim(h, r), divDim(w, r)];
    if (height === undefined || width === undefined) {
      throw new ShapeError(
        `pixelunshuffle(${r}) needs a size that ${r} divides, got ${printDim(h)} x ${printDim(w)}`,
      );
    }
    return { shape: [n, c * r * r, height, width] };
  },
  reference([x], attrs, shape) {
    const y = zeros(shape);
    shuffle(y, x!, num(attrs, 'factor'), (small, big) => {
      y.data[small] = x!.data[big]!;
    });
    return y;
  },
  gradient: ({ node, dy, emit }) => [emit('pixel_shuffle', [dy], node.attrs)],
  macs: () => 0,
  reach: (_inputs, attrs) => ({ mul: num(attrs, 'factor'), div: 1, add: 0 }),
  launch: (context) =>
    pixelUnshuffle({ x: context.view(0), y: context.y, factor: num(context.node.attrs, 'factor') }),
  /** ONNX gives the pixels of a block in turn, each with all channels; wanted are the channels, each with all pixels. */
  onnx({ node, types, value, emit, integers }) {
    const factor = num(node.attrs, 'factor');
    const { c } = image(types[0], 'pixelunshuffle');
    const blocks = emit('SpaceToDepth', [value(0)], { blocksize: factor });
    const order = Array.from(
      { length: c * factor ** 2 },
      (_, k) => (k % factor ** 2) * c + Math.floor(k / factor ** 2),
    );
    return emit('Gather', [blocks, integers(order)], { axis: 1 });
  },
  samples: [{ inputs: [[2, 2, 4, 6]], attrs: { factor: 2 } }],
};

/** A vector as the channels of one pixel, so that a conv can multiply it by its weights: `[C]` to `[1,C,1,1]`. */
const toPixelOp: Op = {
  name: 'to_pixel',
  shape: ([x]) => ({ shape: [1, x!.shape[0]!, 1, 1] }),
  reference: ([x], _attrs, shape) => ({ shape, data: x!.data }),
  gradient: ({ dy, emit }) => [emit('from_pixel', [dy])],
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  launch: 'alias',
  onnx: 'none',
  samples: [{ inputs: [[3]] }],
};

const fromPixelOp: Op = {
  name: 'from_pixel',
  shape([x]) {
    const { n, c, h, w } = image(x, 'from_pixel');
    if (!sameShape([n, h, w], [1, 1, 1])) throw new ShapeError(`from_pixel of ${printImage(x!)}`);
    return { shape: [c] };
  },
  reference: ([x], _attrs, shape) => ({ shape, data: x!.data }),
  gradient: ({ dy, emit }) => [emit('to_pixel', [dy])],
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  launch: 'alias',
  onnx: 'none',
  samples: [{ inputs: [[1, 3, 1, 1]] }],
};

export const channelOps: readonly Op[] = [
  concatOp,
  sliceOp,
  padChannelsOp,
  stackOp,
  pixelShuffleOp,
  pixelUnshuffleOp,
  toPixelOp,
  fromPixelOp,
];
