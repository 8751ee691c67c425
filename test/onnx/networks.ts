// Networks with weights, and images, for tests with ONNX Runtime.

import { randomSource } from '../../compiler/random.js';
import { randomWeights } from '../../compiler/selfcheck.js';
import type { WeightFile } from '../../formats/weights.js';
import type { Compiled } from '../../index.js';
import type { PlanarImage } from '../../runtime/image.js';

/** Every layer that a generator can have, which enlarges by 2 and folds its input. */
export const EVERYTHING = `
generator everything : (3, h, w) -> (3, 2*h, 2*w) {
  pixelunshuffle(2)
  start = conv(8, kernel=5); prelu
  residual(0.3) { dense x2 { conv(4, spectral=true); lrelu(0.2) }; conv(8, kernel=1, bias=false); batchnorm }
  maxpool(2); upsample(2); conv(8); batchnorm; relu
  scale(0.7); normalize(mean=(0.1, 0, 0, 0, 0, 0, 0, 0.2), std=(1, 2, 1, 1, 1, 1, 1, 3))
  concat(start)
  conv(12, stride=2, kernel=4, pad=1); sigmoid; upsample(2, mode=bilinear); softplus
  avgpool(2); upsample(2); conv(48); pixelshuffle(4); tanh
  out = conv(3)
  from(input); upsample(2, mode=bilinear); mul(out); add(out)
}`;

export function randomWeightsOf({ network: { graph } }: Compiled): WeightFile {
  const values = randomWeights(graph);
  const tensors = graph.params.map(({ ref, type }) => {
    const name = ref.slice(1);
    return [name, { shape: type.shape as number[], data: values.get(name)!, dtype: 'f32' }] as const;
  });
  return { name: 'random', format: 'safetensors', tensors: new Map(tensors), metadata: {} };
}

/** As smooth as photos are. */
export function picture(width: number, height: number, seed = 1): PlanarImage {
  const random = randomSource(seed);
  const data = Float32Array.from({ length: 3 * width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return 0.5 + 0.3 * Math.sin(x / 4 + seed) * Math.cos(y / 5) + 0.1 * random();
  });
  return { width, height, data };
}

/** The largest difference, and the ratio of the largest expected value to the mean square error in dB. */
export function compare(actual: ArrayLike<number>, expected: ArrayLike<number>) {
  let [worst, peak, squares] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    worst = Math.max(d, worst);
    peak = Math.max(peak, Math.abs(expected[i]!));
    squares += d * d;
  }
  return { worst, psnr: 10 * Math.log10((peak * peak * expected.length) / squares) };
}
