// Training for programs, in Node or in a browser: a stage of a program on pictures from anywhere.

import { type Tuned, targetFor } from '../compiler/target.js';
import { fail } from '../diagnostics.js';
import type { Program } from '../dsl/index.js';
import { matchWeights } from '../formats/match.js';
import type { WeightFile } from '../formats/weights.js';
import type { DType } from '../runtime/plan.js';
import { generatorWeights } from './checkpoint.js';
import { batchSource } from './data/batches.js';
import { type ImageSource, largeEnough } from './data/images.js';
import type { Recorder } from './record.js';
import {
  generatorOf,
  type Overrides,
  overridden,
  parametersOf,
  planStage,
  recipeOf,
  stageNamed,
  type TrainingStage,
} from './stages.js';
import { type Tensors, type TrainingState, tunedFor } from './state.js';
import { initialState, type TrainOptions, trainStage } from './trainer.js';

type Passed = Pick<TrainOptions, 'recorder' | 'every' | 'tests' | 'memory' | 'signal' | 'onStep'>;

export interface TrainRequest extends Partial<Passed>, Overrides {
  readonly stage: string;
  readonly images: ImageSource;
  /** What the generator starts from; by default random values. */
  readonly start?: WeightFile;
  /** What to go on from, as an earlier training gave it. */
  readonly state?: TrainingState;
  /** Weights of the perception networks that the loss applies, by their names. */
  readonly perception?: Readonly<Record<string, WeightFile>>;
  /** Storage of activations; f16 needs the device's `shader-f16`. */
  readonly precision?: DType;
  /** What `src tune` measured on the device; a training that goes on keeps what it began with. */
  readonly tuned?: Tuned;
}

export interface Training {
  readonly state: TrainingState;
  /** The generator, averaged where the recipe averages: what `open` takes. */
  readonly weights: WeightFile;
}

/** Trains a stage of a program. Without a recorder nothing is kept but the result. */
export async function train(device: GPUDevice, program: Program, request: TrainRequest): Promise<Training> {
  const { images, start, perception = {}, precision, tuned = {}, ...rest } = request;
  const { stage: name, steps: _, batch: __, ...passed } = rest;
  const stage = overridden(stageNamed(program, name), request);
  const { state: before } = passed;
  if (before && before.stage !== stage.name) {
    fail(`stage \`${stage.name}\` cannot go on from a state of \`${before.stage}\``, {
      help: 'pass the weights of that training as `start`',
    });
  }
  const target = targetFor(device, precision, tunedFor(device, before, tuned));
  const planned = planStage(program, stage, target, request.memory);
  const generator = generatorOf(program);
  const parameters = parametersOf(generator);
  const state = await trainStage(device, planned, {
    recorder: SILENT,
    every: {
      log: 100,
      validate: 5000,
      checkpoint: Number.POSITIVE_INFINITY,
      minutes: Number.POSITIVE_INFINITY,
    },
    ...passed,
    state: before ?? initialState(planned, start && matchWeights(parameters, start)),
    perception: perceptionValues(program, stage, perception),
    batches: batchesOf(program, stage, images),
  });
  const tensors = generatorWeights(state, generator.name, parameters);
  return { state, weights: { name: stage.name, format: 'safetensors', tensors, metadata: {} } };
}

const SILENT: Recorder = {
  async metrics() {},
  async checkpoint() {},
  async weights() {},
  async sample() {},
};

/** Of memory for pictures. */
const CACHE_BYTES = 2 ** 28;

function batchesOf(program: Program, { name, batch, patch, minimize }: TrainingStage, source: ImageSource) {
  const { seed, augment, degrade } = recipeOf(program);
  const numbered = source.images.map(({ name, width, height }, index) => ({ name, width, height, index }));
  const { images } = largeEnough(numbered, patch);
  const { loadReduced } = source;
  const large: ImageSource = {
    images,
    load: (index) => source.load(images[index]!.index),
    ...(loadReduced && { loadReduced: (index) => loadReduced.call(source, images[index]!.index) }),
  };
  const options = { seed, stage: name, batch, patch, augment, degrade, usm: minimize.sharpened };
  return batchSource(large, { ...options, cacheBytes: CACHE_BYTES });
}

function perceptionValues(
  program: Program,
  { minimize }: TrainingStage,
  files: Readonly<Record<string, WeightFile>>,
): Tensors {
  const used = program.networks.filter(
    ({ role, name }) => role === 'perception' && minimize.networks.includes(name),
  );
  return new Map(
    used.flatMap((network) => {
      const { name } = network;
      const file = files[name] ?? fail(`the loss needs the weights of \`${name}\``, { help: PASS_THEM });
      const values = matchWeights(parametersOf(network), file);
      return [...values].map(([tensor, data]) => [`${name}.${tensor}`, data] as const);
    }),
  );
}

const PASS_THEM = 'pass them as `perception: { name: weights }`';
