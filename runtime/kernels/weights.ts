// Weights on the device: what training makes of packed weights in each step.

import { gather } from './gather.js';
import type { KernelCall, View } from './kernel.js';

/** Packed conv weights as pointwise kernels see them: 4 channels of an image `[taps][I/4][O padded to 4]`. */
export function weightView(
  operand: Pick<View, 'slot' | 'dtype'>,
  kernel: readonly [height: number, width: number],
  inputs: number,
  outputs: number,
): View {
  const [taps, rows, columns] = [kernel[0] * kernel[1], Math.ceil(inputs / 4), Math.ceil(outputs / 4) * 4];
  return { ...operand, dims: [taps, rows, columns], channels: 4, stride: 4, offset: 0 };
}

export interface ExchangeSpec {
  /** Packed as a conv from `inputs` to `outputs` channels. */
  readonly x: Pick<View, 'slot' | 'dtype'>;
  /** Packed as a conv from `outputs` to `inputs` channels. */
  readonly y: Pick<View, 'slot' | 'dtype'>;
  readonly inputs: number;
  readonly outputs: number;
}

type Kernel = readonly [height: number, width: number];

/** `[O, I, 3, 3]` to `[I, O, 4, 4]`: row a of the taps is the sum of the rows 2 - a and 3 - a; so are columns. */
export function nearestKernel(spec: ExchangeSpec): KernelCall {
  const taps = (k: string, a: string) => `var ${k} = 2u - min(${a}, 2u); ${k} < min(4u - ${a}, 3u); ${k}++`;
  return exchange('nearest_kernel', spec, [3, 3], [4, 4], (weight) => [
    `for (${taps('i', 'image / 4u')}) { for (${taps('j', 'image % 4u')}) {`,
    `value[lane] += ${weight('i * 3u + j')};`,
    '} }',
  ]);
}

/** `[I, O, 4, 4]` to `[O, I, 3, 3]`: what went from tap k of a row or column to the taps 2 - k and 3 - k comes back. */
export function nearestKernelAdjoint(spec: ExchangeSpec): KernelCall {
  return exchange('nearest_kernel_adjoint', spec, [4, 4], [3, 3], (weight) => [
    'for (var i = 2u - image / 3u; i < 4u - image / 3u; i++) {',
    'for (var j = 2u - image % 3u; j < 4u - image % 3u; j++) {',
    `value[lane] += ${weight('i * 4u + j')};`,
    '} }',
  ]);
}

/** `lines` add to `value[lane]`, for tap `image` of the result, weights of `x` by their tap. */
function exchange(
  name: string,
  { x, y, inputs, outputs }: ExchangeSpec,
  from: Kernel,
  to: Kernel,
  lines: (weight: (tap: string) => string) => readonly string[],
): KernelCall {
  const views = { x: weightView(x, from, inputs, outputs), y: weightView(y, to, outputs, inputs) };
  const weight = (tap: string) => `x_at(${tap}, column / 4u, row * 4u + lane, column % 4u)`;
  const body = ['var value: vec4<f32>;', 'for (var lane = 0u; lane < 4u; lane++) {', ...lines(weight), '}'];
  return gather(name, views, body, { xWidth: 1 });
}
