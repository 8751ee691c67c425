// A training that takes a second: a network of two convolutions, a critic, patterns instead of photos, and a recorder
// that keeps everything in memory.

import type { Program } from '../../dsl/index.js';
import { load } from '../../dsl/index.js';
import type { WeightTensor } from '../../formats/weights.js';
import type { BatchSource } from '../../train/batch.js';
import type { MetricsLine } from '../../train/metrics.js';
import { randomFor } from '../../train/random.js';
import type { Moment, Recorder } from '../../train/record.js';
import { generatorOf, recipeOf, type TrainingStage } from '../../train/stages.js';
import type { TrainingState } from '../../train/state.js';

export const TINY = `let scale = 2

generator tiny(features = 8) : (3, h, w) -> (3, scale*h, scale*w) {
  head = { conv(features); prelu }
  residual { conv(features); batchnorm }
  conv(3*scale^2); pixelshuffle(scale)
}

discriminator critic : (3, h, w) -> (1, h, w) { conv(8); batchnorm; lrelu(0.2); conv(1) }

train {
  degrade: bicubic(scale); patch: 16; batch: 4; augment: flip; seed: 1
  stage psnr { minimize: l1; steps: 20; adam(lr=5e-3); halve(at=15); ema(0.9) }
  stage gan { from: psnr; minimize: l1 + 1e-2 * gan(critic); steps: 6; adam(lr=1e-3) }
}

blend half = 0.5 * gan + 0.5 * psnr
`;

export function tinyProgram(text = TINY): Program {
  return load({ name: 'tiny.sr', text });
}

/** Waves of a random direction, and their means over 2x2 pixels. */
export function patterns(program: Program, { batch, patch }: TrainingStage): BatchSource {
  const scale = generatorOf(program).scale!;
  const { seed } = recipeOf(program);
  return {
    async batch(k) {
      const side = patch / scale;
      const hr = new Float32Array(batch * patch * patch * 4);
      const lr = new Float32Array(batch * side * side * 4);
      for (let b = 0; b < batch; b++) {
        const random = randomFor(seed, 'pattern', k, b);
        for (let c = 0; c < 3; c++) {
          const [fx, fy, phase] = [random.uniform(-1, 1), random.uniform(-1, 1), random.uniform(0, 6)];
          for (let y = 0; y < patch; y++) {
            for (let x = 0; x < patch; x++) {
              const value = 0.5 + 0.4 * Math.sin(fx * x + fy * y + phase);
              hr[((b * patch + y) * patch + x) * 4 + c] = value;
              const at = ((b * side + Math.floor(y / scale)) * side + Math.floor(x / scale)) * 4 + c;
              lr[at]! += value / scale ** 2;
            }
          }
        }
      }
      return { lr, hr };
    },
  };
}

export interface Recorded extends Recorder {
  readonly lines: MetricsLine[];
  readonly states: TrainingState[];
  readonly saved: (Moment & { readonly tensors: ReadonlyMap<string, WeightTensor> })[];
  readonly samples: Moment[];
}

export function recorder(): Recorded {
  const [lines, states, saved, samples]: [MetricsLine[], TrainingState[], Recorded['saved'], Moment[]] = [
    [],
    [],
    [],
    [],
  ];
  return {
    lines,
    states,
    saved,
    samples,
    metrics: async (line) => void lines.push(line),
    checkpoint: async (state) => void states.push(state),
    weights: async ({ stage, step }, tensors) => void saved.push({ stage, step, tensors }),
    sample: async ({ stage, step }) => void samples.push({ stage, step }),
  };
}
