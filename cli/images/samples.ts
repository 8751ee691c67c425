// Choosing channels of interleaved samples.

import { newSamples, type Samples } from '../../formats/image.js';

/** The `wanted` channels of pixels that have `stride` samples each. */
export function pickChannels(from: Samples, stride: number, wanted: readonly number[]): Samples {
  const count = wanted.length;
  const out = newSamples(from instanceof Uint16Array ? 16 : 8, (from.length / stride) * count);
  wanted.forEach((channel, c) => {
    for (let i = channel, to = c; i < from.length; i += stride, to += count) out[to] = from[i]!;
  });
  return out;
}
