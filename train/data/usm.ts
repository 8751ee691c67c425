// Unsharp masking as Real-ESRGAN sharpens its originals (BasicSR's img_process_util.py): what differs from its blurred
// surroundings by more than a threshold is exaggerated, with a soft edge between sharpened and left alone.

import type { Planes } from '../../formats/image.js';
import { filterSeparable } from './filter.js';

const WEIGHT = 0.5;
/** Radius 50 of the reference: its Gaussian's width, made odd. */
const WIDTH = 51;
/** In 8-bit steps. */
const THRESHOLD = 10;

/** cv2.getGaussianKernel, whose sigma follows from the width. */
const GAUSSIAN = (() => {
  const sigma = 0.3 * ((WIDTH - 1) * 0.5 - 1) + 0.8;
  const raw = Float64Array.from({ length: WIDTH }, (_, i) =>
    Math.exp(-((i - (WIDTH - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const sum = raw.reduce((total, weight) => total + weight, 0);
  return raw.map((weight) => weight / sum);
})();

export function sharpen(planes: Planes): Planes {
  const { data } = planes;
  const blurred = filterSeparable(planes, GAUSSIAN).data;
  const mask = data.map((value, i) => (Math.abs(value - blurred[i]!) * 255 > THRESHOLD ? 1 : 0));
  const soft = filterSeparable({ ...planes, data: mask }, GAUSSIAN).data;
  const sharp = data.map((value, i) => {
    const exaggerated = Math.min(Math.max(value + WEIGHT * (value - blurred[i]!), 0), 1);
    return soft[i]! * exaggerated + (1 - soft[i]!) * value;
  });
  return { ...planes, data: sharp };
}
