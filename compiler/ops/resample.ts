// Ops that change the spatial size: nearest and bilinear upsampling, pooling, forward differences. The linear ones
// are written once as a sparse map (out += weight * in), which serves the op and its adjoint; a pair of records is
// made from each. Max pooling is the one that is not linear.

import { internal } from '../../diagnostics.js';
import type { OnnxNode } from '../../formats/onnx.js';
import { addDim, type Dim, divDim, mulDim, parseDim, printDim } from '../../runtime/dims.js';
import {
  avgPool,
  forwardDifference,
  maxPool,
  upsampleBilinear,
  upsampleNearest,
} from '../../runtime/kernels/gather.js';
import {
  avgPoolAdjoint,
  forwardDifferenceAdjoint,
  maxPoolAdjoint,
  upsampleBilinearAdjoint,
  upsampleNearestAdjoint,
} from '../../runtime/kernels/gather_adjoint.js';
import type { Reach } from '../../runtime/plan.js';
import type { Attrs } from '../graph.js';
import { type Tensor, zeros } from '../tensor.js';
import type { OnnxContext, OnnxForm } from './onnx.js';
import { type Launch, nchw, num, type Op, type Sample, ShapeError } from './op.js';
import { image } from './types.js';

/** Weighted source positions of one output position along an axis. */
type Taps = (
  out: number,
  size: number,
  attrs: Attrs,
) => readonly (readonly [source: number, weight: number])[];

interface LinearMap {
  readonly name: string;
  /** Output extent along an axis ('h' or 'w'). */
  extent(dim: Dim, attrs: Attrs, axis: 'h' | 'w'): Dim;
  /** The taps along an axis; the map is the product of both axes. */
  taps(axis: 'h' | 'w', attrs: Attrs): Taps;
  reach(attrs: Attrs): Reach;
  readonly launch: Launch;
  readonly launchAdjoint: Launch;
  readonly onnx: OnnxForm | 'none';
  readonly samples: readonly Sample[];
}

const identityTaps: Taps = (out) => [[out, 1]];

/** `align_corners = false`: output pixel centre (o + 1/2) / r - 1/2 in input pixels, clamped at the border. */
const bilinearTaps: Taps = (out, size, attrs) => {
  const at = Math.max(0, (out + 0.5) / num(attrs, 'factor') - 0.5);
  const low = Math.min(Math.floor(at), size - 1);
  const high = Math.min(low + 1, size - 1);
  const t = at - low;
  return low === high
    ? [[low, 1]]
    : [
        [low, 1 - t],
        [high, t],
      ];
};

function pooled(dim: Dim, attrs: Attrs): Dim {
  const { size, stride } = poolAttrs(attrs);
  if (typeof dim === 'number') {
    if (dim < size) throw new ShapeError(`a pool of ${size} does not fit ${dim} pixels`);
    return Math.floor((dim - size) / stride) + 1;
  }
  const steps = divDim(addDim(dim, Math.floor((stride - size) / stride) * stride), stride);
  if (steps === undefined)
    throw new ShapeError(`a pool of stride ${stride} does not divide ${printDim(dim)}`);
  return steps;
}

function poolAttrs(attrs: Attrs): { size: number; stride: number } {
  return { size: num(attrs, 'size'), stride: num(attrs, 'stride') };
}

function axisOf(attrs: Attrs): 'h' | 'w' {
  return attrs.axis === 'h' ? 'h' : 'w';
}

const poolReach = (attrs: Attrs): Reach => ({
  mul: num(attrs, 'stride'),
  div: 1,
  add: Math.max(0, num(attrs, 'size') - num(attrs, 'stride')),
});

function resize({ node, value, emit, floats }: OnnxContext, attrs: OnnxNode['attrs']): string {
  const factor = num(node.attrs, 'factor');
  return emit('Resize', [value(0), '', floats([1, 1, factor, factor])], attrs);
}

function pool({ node, value, emit }: OnnxContext, op: string): string {
  const { size, stride } = poolAttrs(node.attrs);
  return emit(op, [value(0)], { kernel_shape: [size, size], strides: [stride, stride] });
}

const LINEAR: readonly LinearMap[] = [
  {
    name: 'upsample_nearest',
    extent: (dim, attrs) => mulDim(dim, num(attrs, 'factor')),
    taps: () => (out, _size, attrs) => [[Math.floor(out / num(attrs, 'factor')), 1]],
    reach: (attrs) => ({ mul: 1, div: num(attrs, 'factor'), add: 0 }),
    launch: ({ node, view, y }) => upsampleNearest({ x: view(0), y, factor: num(node.attrs, 'factor') }),
    launchAdjoint: ({ node, view, y, epilogue }) =>
      upsampleNearestAdjoint({ x: view(0), y, factor: num(node.attrs, 'factor'), epilogue: epilogue() }),
    onnx: (context) =>
      resize(context, {
        mode: 'nearest',
        coordinate_transformation_mode: 'asymmetric',
        nearest_mode: 'floor',
      }),
    samples: [
      { inputs: [[2, 2, 2, 3]], attrs: { factor: 2 } },
      { inputs: [[1, 1, 2, 1]], attrs: { factor: 3 } },
    ],
  },
  {
    name: 'upsample_bilinear',
    extent: (dim, attrs) => mulDim(dim, num(attrs, 'factor')),
    taps: () => bilinearTaps,
    reach: (attrs) => ({ mul: 1, div: num(attrs, 'factor'), add: 1 }),
    launch: ({ node, view, y }) => upsampleBilinear({ x: view(0), y, factor: num(node.attrs, 'factor') }),
    launchAdjoint: ({ node, view, y, epilogue }) =>
      upsampleBilinearAdjoint({ x: view(0), y, factor: num(node.attrs, 'factor'), epilogue: epilogue() }),
    onnx: (context) => resize(context, { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }),
    samples: [
      { inputs: [[2, 2, 2, 3]], attrs: { factor: 2 } },
      { inputs: [[1, 1, 3, 1]], attrs: { factor: 4 } },
    ],
  },
  {
    name: 'avg_pool',
    extent: pooled,
    taps: () => (out, _size, attrs) => {
      const { size, stride } = poolAttrs(attrs);
      return Array.from({ length: size }, (_, k) => [out * stride + k, 1 / size] as const);
    },
    reach: poolReach,
    launch: ({ node, view, y }) => avgPool({ x: view(0), y, ...poolAttrs(node.attrs) }),
    launchAdjoint: ({ node, view, y, epilogue }) =>
      avgPoolAdjoint({ x: view(0), y, ...poolAttrs(node.attrs), epilogue: epilogue() }),
    onnx: (context) => pool(context, 'AveragePool'),
    samples: [
      { inputs: [[2, 2, 4, 6]], attrs: { size: 2, stride: 2 } },
      { inputs: [[1, 1, 5, 5]], attrs: { size: 3, stride: 1 } },
    ],
  },
  {
    // Neighbour to the right (w) or below (h) minus the pixel itself; one column or row shorter.
    name: 'forward_difference',
    extent: (dim, attrs, axis) => (attrs.axis === axis ? addDim(dim, -1) : dim),
    taps: (axis, attrs) =>
      attrs.axis === axis
        ? (out) => [
            [out, -1],
            [out + 1, 1],
          ]
        : identityTaps,
    reach: () => ({ mul: 1, div: 1, add: 1 }),
    launch: ({ node, view, y }) => forwardDifference({ x: view(0), y, axis: axisOf(node.attrs) }),
    launchAdjoint: ({ node, view, y, epilogue }) =>
      forwardDifferenceAdjoint({ x: view(0), y, axis: axisOf(node.attrs), epilogue: epilogue() }),
    onnx: 'none',
    samples: [
      { inputs: [[2, 2, 3, 2]], attrs: { axis: 'h' } },
      { inputs: [[2, 2, 2, 4]], attrs: { axis: 'w' } },
    ],
  },
];

/** Visits every (input, output, weight) of a linear map. */
function forEachEntry(
  map: LinearMap,
  x: Tensor,
  y: Tensor,
  attrs: Attrs,
  visit: (xi: number, yi: number, weight: number) => void,
): void {
  const [n, c, xh, xw] = nchw(x.shape);
  const [, , yh, yw] = nchw(y.shape);
  const [rows, columns] = [map.taps('h', attrs), map.taps('w', attrs)];
  for (let plane = 0; plane < n * c; plane++) {
    for (let oy = 0; oy < yh; oy++) {
      for (let ox = 0; ox < yw; ox++) {
        for (const [iy, wy] of rows(oy, xh, attrs)) {
          for (const [ix, wx] of columns(ox, xw, attrs)) {
            visit((plane * xh + iy) * xw + ix, (plane * yh + oy) * yw + ox, wy * wx);
          }
        }
      }
    }
  }
}

function linearRecords(map: LinearMap): Op[] {
  const adjoint = `${map.name}_adjoint`;
  return [
    {
      name: map.name,
      shape([x], attrs) {
        const { n, c, h, w } = image(x, map.name);
        return { shape: [n, c, map.extent(h, attrs, 'h'), map.extent(w, attrs, 'w')] };
      },
      reference([x], attrs, shape) {
        const y = zeros(shape);
        forEachEntry(map, x!, y, attrs, (xi, yi, weight) => {
          y.data[yi]! += weight * x!.data[xi]!;
        });
        return y;
      },
      gradient: ({ node, dy, emit, type }) => [
        emit(adjoint, [dy], { ...node.attrs, extent: type(node.inputs[0]!).shape.slice(2).map(printDim) }),
      ],
      macs: () => 0,
      reach: (_inputs, attrs) => map.reach(attrs),
      launch: map.launch,
      onnx: map.onnx,
      samples: map.samples,
    },
    {
      name: adjoint,
      shape([dy], attrs) {
        const { n, c } = image(dy, adjoint);
        const extent = (attrs.extent as readonly string[]).map(
          (text) => parseDim(text) ?? internal(`bad extent ${text}`),
        );
        return { shape: [n, c, ...extent] };
      },
      reference([dy], attrs, shape) {
        const dx = zeros(shape);
        forEachEntry(map, dx, dy!, attrs, (xi, yi, weight) => {
          dx.data[xi]! += weight * dy!.data[yi]!;
        });
        return dx;
      },
      gradient: 'nodiff',
      macs: () => 0,
      reach: (_inputs, attrs) => {
        const { mul, div, add } = map.reach(attrs);
        return { mul: div, div: mul, add: add + 1 };
      },
      operands: 1,
      launch: map.launchAdjoint,
      onnx: 'none',
      samples: map.samples.map(({ inputs, attrs = {} }) => {
        const [n, c, h, w] = inputs[0] as [number, number, number, number];
        const out = [n, c, Number(map.extent(h, attrs, 'h')), Number(map.extent(w, attrs, 'w'))];
        return { inputs: [out], attrs: { ...attrs, extent: [String(h), String(w)] } };
      }),
    },
  ];
}

/** Visits each output of a max pool with the index of its (first) largest input. */
function forEachMax(x: Tensor, y: Tensor, attrs: Attrs, visit: (xi: number, yi: number) => void): void {
  const { size, stride } = poolAttrs(attrs);
  const [n, c, xh, xw] = nchw(x.shape);
  const [, , yh, yw] = nchw(y.shape);
  for (let plane = 0; plane < n * c; plane++) {
    for (let oy = 0; oy < yh; oy++) {
      for (let ox = 0; ox < yw; ox++) {
        let best = (plane * xh + oy * stride) * xw + ox * stride;
        for (let k = 0; k < size * size; k++) {
          const xi = (plane * xh + oy * stride + Math.floor(k / size)) * xw + ox * stride + (k % size);
          if (x.data[xi]! > x.data[best]!) best = xi;
        }
        visit(best, (plane * yh + oy) * yw + ox);
      }
    }
  }
}

const maxPoolOp: Op = {
  name: 'max_pool',
  shape([x], attrs) {
    const { n, c, h, w } = image(x, 'maxpool');
    return { shape: [n, c, pooled(h, attrs), pooled(w, attrs)] };
  },
  reference([x], attrs, shape) {
    const y = zeros(shape);
    forEachMax(x!, y, attrs, (xi, yi) => {
      y.data[yi] = x!.data[xi]!;
    });
    return y;
  },
  gradient: ({ node, dy, emit }) => [emit('max_pool_adjoint', [node.inputs[0]!, dy], node.attrs)],
  macs: () => 0,
  reach: (_inputs, attrs) => poolReach(attrs),
  launch: ({ node, view, y }) => maxPool({ x: view(0), y, ...poolAttrs(node.attrs) }),
  onnx: (context) => pool(context, 'MaxPool'),
  samples: [
    { inputs: [[2, 2, 4, 6]], attrs: { size: 2, stride: 2 } },
    { inputs: [[1, 1, 5, 5]], attrs: { size: 3, stride: 2 } },
  ],
};

/** Sends each gradient to the input that won; takes the pool's input and the gradient of its output. */
const maxPoolAdjointOp: Op = {
  name: 'max_pool_adjoint',
  shape: ([x]) => x!,
  reference([x, dy], attrs, shape) {
    const dx = zeros(shape);
    forEachMax(x!, dy!, attrs, (xi, yi) => {
      dx.data[xi]! += dy!.data[yi]!;
    });
    return dx;
  },
  gradient: 'nodiff',
  macs: () => 0,
  reach: (_inputs, attrs) => ({ mul: 1, div: 1, add: num(attrs, 'size') }),
  operands: 2,
  launch: ({ node, view, y, epilogue }) =>
    maxPoolAdjoint({ x: view(0), dy: view(1), y, ...poolAttrs(node.attrs), epilogue: epilogue() }),
  onnx: 'none',
  samples: [
    {
      inputs: [
        [2, 2, 4, 6],
        [2, 2, 2, 3],
      ],
      attrs: { size: 2, stride: 2 },
    },
  ],
};

export const resampleOps: readonly Op[] = [...LINEAR.flatMap(linearRecords), maxPoolOp, maxPoolAdjointOp];
