// One stage trained in the folder of a run: its data, where it starts or goes on, its step on the device, what is told
// and kept of it.

import { isDeepStrictEqual } from 'node:util';
import { fail } from '../diagnostics.js';
import type { Program } from '../dsl/index.js';
import { matchWeights } from '../formats/match.js';
import { targetFor } from '../index.js';
import type { NodeDevice } from '../runtime/node.js';
import type { DType } from '../runtime/plan.js';
import { stepMemory } from '../runtime/stepper.js';
import { checkSettings, generatorWeights, type Settings } from '../train/checkpoint.js';
import type { MetricsLine } from '../train/metrics.js';
import type { Recorder } from '../train/record.js';
import {
  generatorOf,
  keptOf,
  type PlannedStage,
  parametersOf,
  planStage,
  recipeOf,
  settingsOf,
  type TrainingStage,
} from '../train/stages.js';
import { type Tensors, type TrainingState, tunedFor } from '../train/state.js';
import { type Intervals, initialState, trainStage } from '../train/trainer.js';
import type { TestImage } from '../train/validation.js';
import { type OpenData, openData } from './data-open.js';
import { printItems } from './human.js';
import { packageVersion } from './package.js';
import { perceptionWeights } from './perception.js';
import type { RunFolder } from './run-folder.js';
import { profileSteps, type TraceOf } from './train-profile.js';
import type { TrainEvent, TrainReport } from './train-report.js';
import { loadTrained } from './weights.js';

export interface TrainSession {
  readonly program: Program;
  readonly folder: RunFolder;
  /** What the user typed, for the folder's record and for messages. */
  readonly command: readonly string[];
  readonly data: string;
  readonly dataLr?: string;
  readonly tests?: () => AsyncIterable<TestImage>;
  /** The stages to be trained, in their order. */
  readonly stages: readonly TrainingStage[];
  /** A file of weights that they start from, but for those that start from one another. */
  readonly init?: string;
  readonly vgg?: string;
  readonly precision: DType;
  readonly memory?: number;
  readonly every: Partial<Intervals>;
  /** Set where a few steps are profiled. */
  readonly traceOf?: TraceOf;
  /** Opened when the first stage begins. */
  device(): Promise<NodeDevice>;
  readonly report: TrainReport;
  readonly signal: AbortSignal;
  /** From now on an interruption waits for a checkpoint. */
  onBegin(): void;
}

/** Trains a stage to its end, or until it is interrupted: then it gives false. */
export async function trainInFolder(session: TrainSession, stage: TrainingStage): Promise<boolean> {
  const { program, report, precision, folder } = session;
  const perception = await perceptionWeights(program, stage.minimize.networks, session.vgg);
  const data = await openStageData(session, stage);
  try {
    for (const text of data.notes) report({ event: 'note', text });
    const settings = {
      ...(await settingsOf(program, stage, precision, perception)),
      images: `${data.images} (${data.digest})`,
      reduced: session.dataLr === undefined ? 'made' : 'given',
    };
    const checkpoint = await folder.newest(stage.name);
    if (checkpoint) {
      checkSettings(folder.path, checkpoint.settings, settings);
      if (session.init !== undefined) {
        const text = `${stage.name}: it goes on from its checkpoint; --init is for new trainings`;
        report({ event: 'note', text });
      }
    }
    const origin = checkpoint
      ? { state: checkpoint.state, from: 'a checkpoint' }
      : await originOf(session, stage);
    return await run(session, stage, { data, perception, settings, ...origin });
  } finally {
    await data.close();
  }
}

function openStageData({ program, data, dataLr }: TrainSession, stage: TrainingStage): Promise<OpenData> {
  const { seed, augment, degrade } = recipeOf(program);
  const { name, batch, patch, minimize } = stage;
  return openData({
    data,
    ...(dataLr !== undefined && { dataLr }),
    seed,
    stage: name,
    batch,
    patch,
    augment,
    degrade,
    usm: minimize.sharpened,
  });
}

interface Origin {
  /** For people. */
  readonly from: string;
  /** A state to go on from, or first values of the generator; random values without either. */
  readonly state?: TrainingState;
  readonly start?: Tensors;
}

/** The weights that the user gives, or those of the stage that this one starts from. */
async function originOf(
  { program, folder, stages, init, command }: TrainSession,
  stage: TrainingStage,
): Promise<Origin> {
  const generator = generatorOf(program);
  const parameters = parametersOf(generator);
  const { name, from } = stage;
  if (init !== undefined && !stages.some((one) => one.name === from))
    return { from: init, start: matchWeights(parameters, await loadTrained(init)) };
  if (from === undefined) return { from: 'random values' };
  const before = await folder.newest(from);
  if (before) {
    const weights = generatorWeights(before.state, generator.name, parameters);
    const start = new Map([...weights].map(([tensor, { data }]) => [tensor, data]));
    return { from: `${from} after ${printItems(before.state.step, 'step')}`, start };
  }
  return fail(`stage \`${name}\` starts from \`${from}\`, which was not trained in ${folder.path}`, {
    help: `train it first: \`src ${withStage(command, from)}\`; or start from other weights: --init FILE`,
  });
}

/** The command with another `--stage`, as a shell takes it. */
function withStage(command: readonly string[], stage: string): string {
  const at = command.findIndex((word) => /^--stage(=|$)/.test(word));
  const others = at < 0 ? command : command.toSpliced(at, command[at] === '--stage' ? 2 : 1);
  const quoted = others.map((word) =>
    /^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  return [...quoted, '--stage', stage].join(' ');
}

interface Prepared extends Origin {
  readonly data: OpenData;
  readonly perception: Tensors;
  readonly settings: Settings;
}

async function run(session: TrainSession, stage: TrainingStage, prepared: Prepared): Promise<boolean> {
  const { program, folder, command, report, precision, signal, tests, traceOf } = session;
  const { data, perception, settings, start } = prepared;
  const { name, steps } = stage;
  if (prepared.state && prepared.state.step >= steps) {
    const text = `${name}: its ${printItems(steps, 'step')} are done; with --steps N it goes on to step N`;
    report({ event: 'note', text });
    return true;
  }
  const device = await session.device();
  const begun = prepared.state ?? (await folder.newest())?.state;
  const tuned = tunedFor(device.gpu, begun, device.tuned);
  if (begun && !isDeepStrictEqual(tuned, device.tuned)) {
    const text = `${name}: it keeps the kernels that training began with; \`src tune\` is for new trainings`;
    report({ event: 'note', text });
  }
  const memory = session.memory ?? device.memory;
  const planned = planStage(program, stage, targetFor(device.gpu, precision, tuned), memory);
  const state = prepared.state ?? initialState(planned, start);
  const profile =
    traceOf &&
    (await profileSteps(device.gpu, planned, state.step, traceOf(name), (profiled) =>
      report({ event: 'profile', ...profiled }),
    ));
  report(describe(planned, state, prepared));
  await folder.begin({
    source: program.source,
    command,
    device: device.description.name,
    versions: { src: packageVersion(), node: process.version },
    settings,
    at: state,
  });
  session.onBegin();
  const began = performance.now();
  const left = timeLeft(steps);
  const { step } = await trainStage(device.gpu, planned, {
    state,
    perception,
    batches: data,
    recorder: telling(folder, report),
    every: intervalsOf(steps, session.every),
    memory,
    signal,
    ...(tests && { tests }),
    ...(profile && { profile }),
    onStep: (metrics) => report({ event: 'progress', metrics, steps, ...left(metrics.step) }),
  });
  const seconds = (performance.now() - began) / 1000;
  report({ event: 'end', stage: name, step, steps, seconds, weights: folder.weightsPath(name) });
  return step === steps;
}

/**
 * What the steps to come take if they go on like those since the first one, with their validations and checkpoints.
 * Drivers compile kernels in the first step: its time says nothing.
 */
function timeLeft(steps: number): (step: number) => { readonly secondsLeft?: number } {
  let first: { readonly step: number; readonly time: number } | undefined;
  return (step) => {
    const time = performance.now();
    first ??= { step, time };
    if (step === first.step) return {};
    return { secondsLeft: ((steps - step) * (time - first.time)) / (step - first.step) / 1000 };
  };
}

function describe(
  { program, stage, target, plan, recomputed }: PlannedStage,
  { step }: TrainingState,
  { from, data }: Prepared,
): TrainEvent {
  const { name, steps, patch, batch, accumulate, minimize } = stage;
  return {
    event: 'stage',
    stage: name,
    step,
    steps,
    from,
    loss: minimize.terms.generator.join(' + ') || minimize.text,
    batch: `${accumulate > 1 ? `${accumulate} x ` : ''}${batch} patches of ${patch}x${patch}`,
    images: data.images,
    precision: target.precision,
    dispatches: plan.steps.length,
    kernels: plan.kernels.length,
    memory: stepMemory(plan, keptOf(program, stage)),
    ...(recomputed !== undefined && { recomputed }),
  };
}

/** Often enough that little is lost, and seldom enough that it costs nothing. */
function intervalsOf(steps: number, given: Partial<Intervals>): Intervals {
  const share = (parts: number, least: number, most: number) =>
    Math.min(most, Math.max(least, Math.ceil(steps / parts)));
  return {
    log: share(100, 1, 100),
    validate: share(20, 10, 5000),
    checkpoint: share(20, 10, 5000),
    minutes: 10,
    ...given,
  };
}

/** The folder as a recorder whose records are told too. */
function telling(folder: RunFolder, report: TrainReport): Recorder {
  return {
    metrics: async (metrics: MetricsLine) => {
      await folder.metrics(metrics);
      report({ event: 'metrics', metrics });
    },
    checkpoint: async (state: TrainingState) => {
      await folder.checkpoint(state);
      report({ event: 'checkpoint', stage: state.stage, step: state.step });
    },
    weights: (at, tensors) => folder.weights(at, tensors),
    sample: (at, image) => folder.sample(at, image),
  };
}
