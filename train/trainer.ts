// Runs one stage of a recipe on a device: batches prepared one step ahead, one program per step, rates by the schedule,
// losses read without stalling, metrics, validation and checkpoints at their intervals. What it leaves behind goes to a
// Recorder, so that it runs in a browser as in Node. Taken up from a checkpoint it gives the same bits.

import { adapterName } from '../runtime/device.js';
import { type Inputs, Stepper } from '../runtime/stepper.js';
import type { BatchSource } from './batch.js';
import { prefetch } from './data/prefetch.js';
import { initialValues } from './initialize.js';
import type { StepMetrics } from './metrics.js';
import type { Recorder } from './record.js';
import { rateAt } from './schedule.js';
import { generatorOf, keptOf, type PlannedStage, recipeOf, trainedNetworks } from './stages.js';
import type { Tensors, TrainingState } from './state.js';
import { failDiverged } from './trainer-diverged.js';
import { type ProfileRequest, profileAt } from './trainer-profile.js';
import { StepReports } from './trainer-reports.js';
import { Validator } from './trainer-validation.js';
import type { TestImage } from './validation.js';

export interface TrainOptions {
  /** Where training begins: `initialState`, or what a checkpoint held. */
  readonly state: TrainingState;
  /** Values of the networks that the loss applies and does not train: `vgg.conv1_1.weight`. */
  readonly perception: Tensors;
  readonly batches: BatchSource;
  readonly recorder: Recorder;
  readonly every: Intervals;
  /** What validation enlarges, afresh each time; without it there is none. */
  readonly tests?: () => AsyncIterable<TestImage>;
  /** Bytes of device memory to use at most. */
  readonly memory?: number;
  /** Ends the training after a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onStep?: (metrics: StepMetrics) => void;
  readonly profile?: ProfileRequest;
}

/** In steps. */
export interface Intervals {
  readonly log: number;
  readonly validate: number;
  readonly checkpoint: number;
  /** A checkpoint comes after this time at the latest. */
  readonly minutes: number;
}

/** The loss is scaled by this at first, as in PyTorch's GradScaler. */
const FIRST_SCALE = 2 ** 16;

/**
 * The state before the first step. The generator starts from `start` (its own names) where that is given, and from
 * random values otherwise; a discriminator always from random values.
 */
export function initialState(
  { program, stage, step }: PlannedStage,
  start: Tensors = new Map(),
): TrainingState {
  const prefixes = trainedNetworks(program, stage).map(({ name }) => `${name}.`);
  const params = step.graph.params.filter(({ ref }) =>
    prefixes.some((prefix) => ref.startsWith(`@${prefix}`)),
  );
  const values = initialValues(params, recipeOf(program).seed);
  for (const [name, data] of start) values.set(`${generatorOf(program).name}.${name}`, data);
  return { stage: stage.name, step: 0, values, moment1: new Map(), moment2: new Map() };
}

/** Trains to the last step of the stage, or until `signal`; gives the state then, which is saved. */
export async function trainStage(
  device: GPUDevice,
  planned: PlannedStage,
  options: TrainOptions,
): Promise<TrainingState> {
  const { stage } = planned;
  const { every, signal, recorder, profile } = options;
  const reports = new StepReports(planned, options);
  const stepper = await openStepper(device, planned, options, reports.take);
  const validator = new Validator(device, planned, options);
  const { tests } = options;
  const isScaled = planned.plan.precision === 'f16';
  const batches = prefetch(options.batches, stage.accumulate);
  const kernels = { adapter: adapterName(device.adapterInfo), tuned: planned.target.tuned ?? {} };
  let state: TrainingState = { ...options.state, kernels };
  let { step } = state;

  const check = async () => {
    const { halted, failed } = reports;
    if (failed) await reports.written();
    if (halted !== undefined)
      await failDiverged(planned, stepper, halted, await inputsOf(planned, batches, halted));
  };
  /** Waits for all that is under way, and reads what there is then. */
  const settle = async () => {
    await stepper.drain();
    await check();
    await reports.written();
    state = await readState(stepper, { ...state, step }, isScaled);
  };
  let saved = { step, time: performance.now() };
  const save = async () => {
    await recorder.weights(state, validator.weights(state));
    await recorder.checkpoint(state);
    saved = { step, time: performance.now() };
  };
  const saveRest = async () => {
    if (saved.step === step) return;
    await settle();
    await save();
  };
  /** Data and validation may fail for reasons of their own: what was trained until then is kept. */
  const elseSave = <T>(work: Promise<T>): Promise<T> =>
    work.catch(async (error) => {
      await saveRest();
      throw error;
    });

  try {
    if (step > 0) await restore(stepper, state);
    reports.begin();
    while (step < stage.steps && !signal?.aborted) {
      await profileAt(stepper, step, profile);
      const inputs = await elseSave(inputsOf(planned, batches, step));
      await stepper.step({ t: step + 1, rates: ratesAt(planned, step), inputs });
      step++;
      await check();
      const isDue = (interval: number) => step % interval === 0 || step === stage.steps;
      const validate = tests !== undefined && isDue(every.validate);
      const checkpoint = isDue(every.checkpoint) || performance.now() - saved.time > 60_000 * every.minutes;
      if (validate || checkpoint) await settle();
      if (validate) {
        const validated = validator.run(state, tests).catch((error) => {
          if (!signal?.aborted) throw error;
        });
        await elseSave(validated);
      }
      if (checkpoint) await save();
      if (validate || checkpoint) reports.begin();
    }
    await profileAt(stepper, step, profile);
    await saveRest();
    return state;
  } finally {
    await stepper.close();
  }
}

function openStepper(
  device: GPUDevice,
  { program, stage, plan }: PlannedStage,
  { state, perception, memory }: TrainOptions,
  onLosses: StepReports['take'],
): Promise<Stepper> {
  const { optimizer, clip } = stage;
  return Stepper.open(device, plan, new Map([...perception, ...state.values]), {
    adam: Object.fromEntries(trainedNetworks(program, stage).map(({ name }) => [name, optimizer])),
    ...keptOf(program, stage),
    ...(clip !== undefined && { clip }),
    ...(plan.precision === 'f16' && { lossScale: state.lossScale ?? { scale: FIRST_SCALE, since: 0 } }),
    ...(memory !== undefined && { memory }),
    onLosses,
  });
}

/** What `open` begins with zeros, or with the parameters. */
async function restore(stepper: Stepper, { moment1, moment2, average }: TrainingState): Promise<void> {
  await stepper.write('moment1', moment1);
  await stepper.write('moment2', moment2);
  if (average) await stepper.write('average', average);
}

/** `before` with what has changed since; parameters that stay as they are do not come from the device. */
async function readState(stepper: Stepper, before: TrainingState, isScaled: boolean): Promise<TrainingState> {
  const average = await stepper.read('average');
  return {
    stage: before.stage,
    step: before.step,
    ...(before.kernels && { kernels: before.kernels }),
    values: new Map([...before.values, ...(await stepper.read('value'))]),
    moment1: await stepper.read('moment1'),
    moment2: await stepper.read('moment2'),
    ...(average.size > 0 && { average }),
    ...(isScaled && { lossScale: await stepper.readLossScale() }),
  };
}

function ratesAt({ program, stage }: PlannedStage, step: number): Record<string, number> {
  const rate = rateAt(stage.optimizer, stage.schedule, step);
  return Object.fromEntries(trainedNetworks(program, stage).map(({ name }) => [name, rate]));
}

/** The batches of a step. */
function inputsOf({ stage }: PlannedStage, batches: BatchSource, step: number): Promise<Inputs[]> {
  const first = step * stage.accumulate;
  return Promise.all(
    Array.from({ length: stage.accumulate }, async (_, i) => ({ ...(await batches.batch(first + i)) })),
  );
}
