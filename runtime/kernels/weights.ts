// Weights on the device: what training makes of packed weights between two steps.

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

interface FlipSpec {
  /** `[O, I, H, W]`, packed as a conv from `inputs` to `outputs` channels. */
  readonly x: Pick<View, 'slot' | 'dtype'>;
  /** `[I, O, H, W]` with its taps reversed, packed as a conv from `outputs` to `inputs` channels. */
  readonly y: Pick<View, 'slot' | 'dtype'>;
  readonly kernel: readonly [height: number, width: number];
  readonly inputs: number;
  readonly outputs: number;
}

/** The weights of the conv that takes the gradient of a conv of stride 1 back to its input. */
export function flipWeights({ x, y, kernel, inputs, outputs }: FlipSpec): KernelCall {
  const views = { x: weightView(x, kernel, inputs, outputs), y: weightView(y, kernel, outputs, inputs) };
  return gather(
    'flip',
    views,
    [
      'var value: vec4<f32>;',
      'for (var lane = 0u; lane < 4u; lane++) {',
      'value[lane] = x_at(u.y_n - 1u - image, column / 4u, row * 4u + lane, column % 4u);',
      '}',
    ],
    { xWidth: 1 },
  );
}
