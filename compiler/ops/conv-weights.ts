// Weights of the adjoints of convolutions: from `[O, I, …]` to `[I, O, …]`. In a training they change, and are made anew
// on the device in each step; those of a frozen network are made once, when it is loaded.

import { applyConstantOp } from '../../runtime/constants.js';
import type { KernelCall } from '../../runtime/kernels/kernel.js';
import {
  type AdjointSpec,
  flipWeights,
  nearestKernel,
  nearestKernelAdjoint,
} from '../../runtime/kernels/weights.js';
import { kernelOf } from './conv-choice.js';
import { type Op, POINTWISE_REACH, type Sample } from './op.js';

type Kernel = readonly [height: number, width: number];

interface WeightOp extends Pick<Op, 'name'> {
  readonly adjoint: string;
  kernel(of: Kernel): Kernel;
  launch(spec: AdjointSpec, kernel: Kernel): KernelCall;
  readonly samples: readonly Sample[];
}

const WEIGHT_OPS: readonly WeightOp[] = [
  {
    // Of the adjoint of a conv of stride 1, which is a conv.
    name: 'conv2d_flip',
    adjoint: 'conv2d_flip',
    kernel: (kernel) => kernel,
    launch: (spec, kernel) => flipWeights({ ...spec, kernel }),
    samples: [{ inputs: [[2, 3, 2, 3]] }, { inputs: [[5, 4, 3, 3]] }],
  },
  {
    // Of the conv whose adjoint is nearest-x2 and then a 3x3 conv.
    name: 'nearest_kernel',
    adjoint: 'nearest_kernel_adjoint',
    kernel: () => [4, 4],
    launch: nearestKernel,
    samples: [{ inputs: [[2, 3, 3, 3]] }, { inputs: [[5, 4, 3, 3]] }],
  },
  {
    name: 'nearest_kernel_adjoint',
    adjoint: 'nearest_kernel',
    kernel: () => [3, 3],
    launch: nearestKernelAdjoint,
    samples: [{ inputs: [[2, 3, 4, 4]] }, { inputs: [[5, 4, 4, 4]] }],
  },
];

export const convWeightOps = WEIGHT_OPS.map(
  ({ name, adjoint, kernel, launch, samples }): Op => ({
    name,
    shape([w]) {
      const [o, i, kh, kw] = kernelOf(w);
      return { shape: [i, o, ...kernel([kh, kw])] };
    },
    reference: ([w]) => applyConstantOp(name, [w!], {}),
    gradient: ({ dy, emit }) => [emit(adjoint, [dy])],
    macs: () => 0,
    reach: () => POINTWISE_REACH,
    launch({ types, view, y }) {
      const [outputs, inputs, kh, kw] = kernelOf(types[0]);
      return launch({ x: view(0), y, inputs, outputs }, [kh, kw]);
    },
    onnx: 'none',
    samples,
  }),
);
