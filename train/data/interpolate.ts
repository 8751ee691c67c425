// The resizings of Real-ESRGAN's degradation, which are PyTorch's F.interpolate without antialiasing: "area" (adaptive
// average pooling), "bilinear" and "bicubic" (a = -3/4), pixel centres at half, edge pixels repeated.

import type { Planes } from '../../formats/image.js';
import { resample, type Taps } from '../../formats/resize.js';
import type { Size } from './rgb.js';

export const MODES = ['area', 'bilinear', 'bicubic'] as const;
export type Mode = (typeof MODES)[number];

/** `step` is the distance of neighbouring output pixels in the input; by default, the ratio of the sizes. */
export function interpolate(planes: Planes, { width, height }: Size, mode: Mode, step?: number): Planes {
  return resample(
    planes,
    TAPS[mode](planes.width, width, step ?? planes.width / width),
    TAPS[mode](planes.height, height, step ?? planes.height / height),
  );
}

type MakeTaps = (inSize: number, outSize: number, step: number) => Taps;

const TAPS: Readonly<Record<Mode, MakeTaps>> = {
  area(inSize, outSize) {
    const first = (i: number) => Math.floor((i * inSize) / outSize);
    const end = (i: number) => Math.ceil(((i + 1) * inSize) / outSize);
    const counts = Array.from({ length: outSize }, (_, i) => end(i) - first(i));
    return taps(inSize, outSize, Math.max(...counts), (i) => ({
      first: first(i),
      weights: Array.from({ length: counts[i]! }, () => 1 / counts[i]!),
    }));
  },
  bilinear(inSize, outSize, step) {
    return taps(inSize, outSize, 2, (i) => {
      const at = Math.max(0, centre(i, step));
      const t = at - Math.floor(at);
      return { first: Math.floor(at), weights: [1 - t, t] };
    });
  },
  bicubic(inSize, outSize, step) {
    return taps(inSize, outSize, 4, (i) => {
      const at = centre(i, step);
      const t = at - Math.floor(at);
      return { first: Math.floor(at) - 1, weights: [far(t + 1), near(t), near(1 - t), far(2 - t)] };
    });
  },
};

function centre(i: number, step: number): number {
  return step * (i + 0.5) - 0.5;
}

/** Keys' kernel up to 1 and from 1 to 2 pixels away. */
const A = -0.75;
const near = (x: number) => ((A + 2) * x - (A + 3)) * x * x + 1;
const far = (x: number) => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;

function taps(
  inSize: number,
  outSize: number,
  count: number,
  of: (i: number) => { readonly first: number; readonly weights: readonly number[] },
): Taps {
  const index = new Int32Array(outSize * count);
  const weight = new Float64Array(outSize * count);
  for (let i = 0; i < outSize; i++) {
    const { first, weights } = of(i);
    for (let k = 0; k < count; k++) {
      index[i * count + k] = Math.min(Math.max(first + k, 0), inSize - 1);
      weight[i * count + k] = weights[k] ?? 0;
    }
  }
  return { count, index, weight };
}
