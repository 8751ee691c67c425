// The generator on the validation images while it is trained: with its averaged parameters where it has them, in the
// form and with the kernels in which it will be used.

import { lower } from '../compiler/lower.js';
import { optimize } from '../compiler/passes/pipeline.js';
import type { Planes } from '../formats/image.js';
import type { WeightTensor } from '../formats/weights.js';
import { open } from '../runtime/executor.js';
import type { Parameter, Plan } from '../runtime/plan.js';
import { generatorWeights } from './checkpoint.js';
import type { ValidationMetrics } from './metrics.js';
import { type Sample, sampleSheet } from './sheet.js';
import { generatorOf, type PlannedStage, parametersOf } from './stages.js';
import type { TrainingState } from './state.js';
import type { TrainOptions } from './trainer.js';
import { evaluate, type TestImage } from './validation.js';

/** Images on a sheet. */
const SAMPLES = 4;

export class Validator {
  readonly #device: GPUDevice;
  readonly #options: TrainOptions;
  readonly #network: string;
  readonly #parameters: readonly Parameter[];
  readonly #plan: Plan;

  constructor(device: GPUDevice, { program, target }: PlannedStage, options: TrainOptions) {
    const generator = generatorOf(program);
    this.#device = device;
    this.#options = options;
    this.#network = generator.name;
    this.#parameters = parametersOf(generator);
    this.#plan = lower(optimize(generator.graph).graph, target).plan;
  }

  /** The generator as it is used. */
  weights(state: TrainingState): Map<string, WeightTensor> {
    return generatorWeights(state, this.#network, this.#parameters);
  }

  /** Records scores and a sheet. */
  async run(state: TrainingState, tests: () => AsyncIterable<TestImage>): Promise<void> {
    const { recorder, memory, signal } = this.#options;
    const weights = new Map([...this.weights(state)].map(([name, { data }]) => [name, data]));
    const network = await open(this.#device, this.#plan, weights, memory === undefined ? {} : { memory });
    const samples: Sample[] = [];
    try {
      const upscale = async (lr: Planes) => ({ ...lr, ...(await network.run(lr, signal && { signal })) });
      const { rows, mean } = await evaluate(tests(), upscale, async (test, ours) => {
        if (samples.length < SAMPLES) samples.push({ ...test, ours });
      });
      const images = rows.map(({ name, ours }) => ({ name, ...ours }));
      const metrics: ValidationMetrics = {
        stage: state.stage,
        step: state.step,
        time: Date.now() / 1000,
        validation: { ...mean.ours, bicubic: mean.bicubic, images },
      };
      await recorder.metrics(metrics);
      await recorder.sample(state, sampleSheet(samples));
    } finally {
      await network.close();
    }
  }
}
