// A chain of pointwise steps as a kernel of its own: what no convolution could take into its epilogue.

import { gather } from './gather.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';

export function map({ x, y, steps }: { x: View; y: View; steps: readonly PointwiseStep[] }): KernelCall {
  const name = ['map', ...steps.map((step) => step.op)].join('_');
  return gather(name, { x, y, epilogue: steps }, ['let value = x_at(image, row, column, group);']);
}
