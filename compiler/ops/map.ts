// `map`: a chain of pointwise steps over operand 0 in one kernel. The fusion pass makes it from pointwise nodes that
// no conv could take into its epilogue.

import { map } from '../../runtime/kernels/map.js';
import { type Op, POINTWISE_REACH } from './op.js';

const mapOp: Op = {
  name: 'map',
  shape: ([x]) => x!,
  reference: ([x]) => x!,
  gradient: 'nodiff',
  macs: () => 0,
  reach: () => POINTWISE_REACH,
  operands: 1,
  launch: (context) => map({ x: context.view(0), y: context.y, steps: context.epilogue() }),
  onnx: 'none',
  samples: [
    {
      inputs: [[2, 3, 2, 2], [3], [2, 3, 2, 2]],
      attrs: { epilogue: ['add($1)', 'lrelu(0.2)', 'sub($2, v)'] },
    },
    {
      inputs: [
        [2, 10, 2, 2],
        [2, 4, 2, 2],
      ],
      attrs: { epilogue: ['lrelu_grad($1, 0.2)[4:8]', 'offset(1)[8:10]', 'sub($1, v)[0:4]'] },
    },
  ],
};

export const mapOps: readonly Op[] = [mapOp];
