// Stages of a recipe as they are run: found by name, changed by what the user overrides, described for the compiler and
// for the checkpoint that must not go on with anything else.

import type { Graph } from '../compiler/graph.js';
import { type PlannedStep, planStep } from '../compiler/step-plan.js';
import type { Target } from '../compiler/target.js';
import { printGraph } from '../compiler/text.js';
import { type StepGraph, type StepSpec, trainingStep } from '../compiler/training.js';
import { fail, internal } from '../diagnostics.js';
import type { Loss, Network, Program, Recipe, Stage } from '../dsl/index.js';
import { didYouMean } from '../dsl/suggest.js';
import type { DType, Parameter } from '../runtime/plan.js';
import { hash, type Settings, shortHash } from './checkpoint.js';
import type { Tensors } from './state.js';

export type TrainingStage = Stage<Loss>;

/** A stage of a program with its step, for a device. */
export interface PlannedStage extends PlannedStep {
  readonly program: Program;
  readonly stage: TrainingStage;
  readonly target: Target;
  readonly step: StepGraph;
}

/** `memory`: bytes of the device to use at most; what does not fit is computed twice instead of being kept. */
export function planStage(
  program: Program,
  stage: TrainingStage,
  target: Target,
  memory?: number,
): PlannedStage {
  const step = trainingStep(stepSpec(program, stage, target.precision));
  const options = { ...keptOf(program, stage), ...(memory !== undefined && { memory }) };
  return { program, stage, target, step, ...planStep(step, target, options) };
}

/** What is kept beside the parameters and their moments. */
export function keptOf(program: Program, { ema, accumulate }: TrainingStage) {
  const average = ema === undefined ? undefined : { network: generatorOf(program).name, decay: ema };
  return { accumulate, ...(average && { average }) };
}

/** What may be changed without touching the file; patches are the program's matter (`LoadOptions`). */
export interface Overrides {
  readonly steps?: number;
  readonly batch?: number;
}

export function recipeOf({ recipe, source }: Program): Recipe<Loss> {
  return (
    recipe ??
    fail(`${source.name} does not say how to train`, {
      help: 'write a recipe: `train { degrade: bicubic(4); stage psnr { minimize: l1; … } }`',
    })
  );
}

export function stageNamed(program: Program, name: string): TrainingStage {
  const { stages } = recipeOf(program);
  const stage = stages.find((one) => one.name === name);
  if (stage) return stage;
  const names = stages.map((one) => one.name);
  const near = didYouMean(name, names);
  return fail(`${program.source.name}: there is no stage \`${name}\``, {
    help: near ? `did you mean \`${near}\`?` : `it has ${names.join(', ')}`,
  });
}

export function overridden(stage: TrainingStage, { steps, batch }: Overrides): TrainingStage {
  return { ...stage, ...(steps !== undefined && { steps }), ...(batch !== undefined && { batch }) };
}

export function generatorOf({ networks }: Program): Network {
  return networks.find(({ role }) => role === 'generator') ?? internal('a program without a generator');
}

/** What a network's weight file holds. */
export function parametersOf({ graph }: Network): Parameter[] {
  return graph.params.map(({ ref, type }) => ({ name: ref.slice(1), shape: type.shape as number[] }));
}

/** The generator, and the discriminators that the stage's loss applies. */
export function trainedNetworks(program: Program, { minimize }: TrainingStage): Network[] {
  const critics = program.networks.filter(
    ({ role, name }) => role === 'discriminator' && minimize.networks.includes(name),
  );
  return [generatorOf(program), ...critics];
}

/** The stage's step for the compiler. With f16 the loss is scaled, lest small gradients vanish. */
export function stepSpec(program: Program, stage: TrainingStage, precision: DType): StepSpec {
  const generator = generatorOf(program);
  const { generator: loss, discriminator } = stage.minimize;
  const trained = trainedNetworks(program, stage).map(({ name }) => `${name}.`);
  const frozen = stage.freeze.map((path) => `${generator.name}.${path}`);
  const side = stage.patch / (generator.scale ?? internal(`${generator.name} has no scale`));
  return {
    generator: { name: generator.name, graph: generator.training },
    loss: { generator: loss, ...(discriminator && { discriminator }) },
    frozen: (name) =>
      !trained.some((prefix) => name.startsWith(prefix)) ||
      frozen.some((path) => name === path || name.startsWith(`${path}.`)),
    batch: stage.batch,
    height: side,
    width: side,
    lossScale: precision === 'f16',
  };
}

/** What a checkpoint of the stage was trained with, beside its data. Steps may be added later. */
export async function settingsOf(
  program: Program,
  stage: TrainingStage,
  precision: DType,
  perception: Tensors,
): Promise<Settings> {
  const { degrade, augment, seed } = recipeOf(program);
  const { from, minimize, patch, batch, accumulate, optimizer, schedule, ema, clip, freeze } = stage;
  const described = {
    seed,
    degrade,
    augment,
    from,
    patch,
    batch,
    accumulate,
    optimizer,
    schedule,
    ema,
    clip,
    freeze,
    precision,
  };
  const entries = Object.entries(described).map(([name, value]) => [name, JSON.stringify(value) ?? 'none']);
  const objectives = [minimize.generator, ...(minimize.discriminator ? [minimize.discriminator] : [])];
  return {
    ...Object.fromEntries(entries),
    generator: await digest([generatorOf(program).training]),
    loss: await digest(objectives),
    ...(perception.size > 0 && { perception: await digestOf(perception) }),
  };
}

/** Tells other weights of perception networks apart. */
async function digestOf(tensors: Tensors): Promise<string> {
  const parts = await Promise.all(
    [...tensors].map(async ([name, data]) => `${name} ${await hash(new Uint8Array(data.slice().buffer))}`),
  );
  return shortHash(parts.join('\n'));
}

/** Short, and the same wherever in a file the graph was written. */
function digest(graphs: readonly Graph[]): Promise<string> {
  const text = graphs.map((graph) =>
    printGraph({ ...graph, nodes: graph.nodes.map(({ loc: _, ...node }) => node) }),
  );
  return shortHash(text.join('\n'));
}
