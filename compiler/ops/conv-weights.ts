// Weights of the conv whose adjoint is nearest-x2 and then a 3x3 conv, and back: see `nearestKernel` in
// runtime/constants.ts. In a training they change, and are made anew on the device in each step; those of a frozen
// network are made once, when it is loaded.

import { applyConstantOp } from '../../runtime/constants.js';
import type { KernelCall } from '../../runtime/kernels/kernel.js';
import { type ExchangeSpec, nearestKernel, nearestKernelAdjoint } from '../../runtime/kernels/weights.js';
import { kernelOf } from './conv-choice.js';
import { type Op, POINTWISE_REACH } from './op.js';

function weightOp(
  name: string,
  adjoint: string,
  [from, to]: readonly [from: number, to: number],
  launch: (spec: ExchangeSpec) => KernelCall,
): Op {
  return {
    name,
    shape([w]) {
      const [o, i] = kernelOf(w);
      return { shape: [i, o, to, to] };
    },
    reference: ([w]) => applyConstantOp(name, [w!], {}),
    gradient: ({ dy, emit }) => [emit(adjoint, [dy])],
    macs: () => 0,
    reach: () => POINTWISE_REACH,
    launch({ types, view, y }) {
      const [outputs, inputs] = kernelOf(types[0]);
      return launch({ x: view(0), y, inputs, outputs });
    },
    onnx: 'none',
    samples: [{ inputs: [[2, 3, from, from]] }, { inputs: [[5, 4, from, from]] }],
  };
}

export const convWeightOps: readonly Op[] = [
  weightOp('nearest_kernel', 'nearest_kernel_adjoint', [3, 4], nearestKernel),
  weightOp('nearest_kernel_adjoint', 'nearest_kernel', [4, 3], nearestKernelAdjoint),
];
