// Ops that run once, when weights are loaded: their operands are parameters, and runtime/constants.ts computes them.
// Passes make them when they move arithmetic out of the network and into its weights.

import { internal } from '../../diagnostics.js';
import { applyConstantOp } from '../../runtime/constants.js';
import type { Attrs, TensorType } from '../graph.js';
import { type Tensor, tensor } from '../tensor.js';
import { num, type Op, POINTWISE_REACH, type Sample } from './op.js';

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
): Op {
  return {
    name,
    shape: ([weight]: readonly TensorType[], attrs) => ({
      shape: shape(weight!.shape as readonly number[], attrs),
    }),
    reference: (inputs: readonly Tensor[], attrs) =>
      applyConstantOp(name, inputs, attrs as Readonly<Record<string, number>>),
    gradient: 'nodiff',
    macs: () => 0,
    reach: () => POINTWISE_REACH,
    launch: 'load',
    samples,
  };
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
  loadOp('spectral_norm', () => [], [{ inputs: [[3, 2, 2, 2], [3], [8]] }]),
];
