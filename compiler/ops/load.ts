// Ops that run once, when weights are loaded: their operands are parameters, and runtime/constants.ts computes them.
// Passes make them when they move arithmetic out of the network and into its weights.

import { internal } from '../../diagnostics.js';
import { applyConstantOp } from '../../runtime/constants.js';
import type { Attrs, Ref, TensorType } from '../graph.js';
import { type Tensor, tensor } from '../tensor.js';
import { type GradientContext, num, type Op, POINTWISE_REACH, type Sample } from './op.js';

/** A literal: `values` of `shape` (by default a vector). */
const constantOp: Op = {
  name: 'constant',
  shape: (_inputs, attrs) => ({
    shape: (attrs.shape as readonly number[] | undefined) ?? [literals(attrs).length],
  }),
  reference: (_inputs, attrs, shape) => tensor(shape, literals(attrs)),
  gradient: () => [],
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  launch: 'load',
  onnx: 'none',
  samples: [
    { inputs: [], attrs: { values: [0.5, -1, 2] } },
    { inputs: [], attrs: { values: [1], shape: [] } },
  ],
};

function literals(attrs: Attrs): readonly number[] {
  return Array.isArray(attrs.values) ? attrs.values.map(Number) : internal('a constant has no values');
}

function loadOp(
  name: string,
  shape: (type: readonly number[], attrs: Attrs) => readonly number[],
  samples: readonly Sample[],
  gradient: Op['gradient'] = 'nodiff',
): Op {
  return {
    name,
    shape: ([weight]: readonly TensorType[], attrs) => ({
      shape: shape(weight!.shape as readonly number[], attrs),
    }),
    reference: (inputs: readonly Tensor[], attrs) =>
      applyConstantOp(name, inputs, attrs as Readonly<Record<string, number>>),
    gradient,
    macs: () => 0,
    reach: () => POINTWISE_REACH,
    launch: 'load',
    onnx: 'none',
    samples,
  };
}

/** Of u' W v: u v', W v and W'u, where v lies like an image that one position of the conv by W covers. */
function spectralNormGradient({ node, dy, wants, emit, type }: GradientContext): (Ref | undefined)[] {
  const [weight, u, v] = node.inputs as [Ref, Ref, Ref];
  const kernel = type(weight).shape.slice(2) as number[];
  const conv = { stride: 1, pad: 0 };
  const factor = kernel[0]!;
  const left = emit('to_pixel', [u]);
  const right = emit('pixel_shuffle', [emit('to_pixel', [v])], { factor });
  const adjoint = () => emit('conv2d_dgrad', [left, weight], { ...conv, extent: kernel.map(String) });
  const parts = [
    () => emit('conv2d_wgrad', [right, left], { ...conv, kernel }),
    () => emit('from_pixel', [emit('conv2d', [right, weight], conv)]),
    () => emit('from_pixel', [emit('pixel_unshuffle', [adjoint()], { factor })]),
  ];
  return parts.map((part, i) => (wants(i) ? emit('mul', [part(), dy]) : undefined));
}

export const loadOps: readonly Op[] = [
  constantOp,
  loadOp('scale_out', (weight) => weight, [{ inputs: [[3, 2, 2, 2], [3]] }]),
  loadOp('phase_weight', ([o, i]) => [4 * o!, i!, 2, 2], [{ inputs: [[2, 3, 3, 3]] }]),
  loadOp(
    'shuffle_rows',
    (rows, attrs) => {
      if (rows[0]! % num(attrs, 'factor') ** 2 !== 0) internal(`shuffle_rows of ${rows[0]} rows`);
      return rows;
    },
    [
      { inputs: [[8, 2, 3, 3]], attrs: { factor: 2 } },
      { inputs: [[9]], attrs: { factor: 3 } },
    ],
  ),
  loadOp('spectral_norm', () => [], [{ inputs: [[3, 2, 2, 2], [3], [8]] }], spectralNormGradient),
];
