// Training on a device: parameters and all that an optimizer keeps of them stay there, and a plan's steps run one
// after another as fast as they can be sent. The host learns of losses, and of steps that did not count, a little later.

import { internal, UserError } from '../diagnostics.js';
import { uploadConstants } from './constant-buffers.js';
import { checkWeights, type Weights } from './constants.js';
import { LossGuard, OutOfMemory, readBuffer } from './gpu.js';
import { adamRates } from './kernels/optimizer.js';
import { Pacer, type Work } from './pacer.js';
import { checkFeatures, Pipelines } from './pipelines.js';
import type { Port, StepPlan } from './plan.js';
import type { Recording } from './profile.js';
import { Clock } from './profile-clock.js';
import { Readback } from './readback.js';
import { type Diagnosis, diagnose } from './step-diagnosis.js';
import {
  checkFits,
  LOSS_SCALE,
  layOut,
  lossPorts,
  SMALLER,
  type StepMemory,
  type Twin,
  type TwinOptions,
} from './step-memory.js';
import { type LossScale, type Optimization, trainedArenas } from './step-optimizer.js';
import { buildStep, type StepParts, type StepProgram } from './step-program.js';
import { readTensors, type Tensors, writeTensors } from './step-tensors.js';
import { inTurn } from './turns.js';

export type { Diagnosis, LossScale, StepMemory };

export interface StepperOptions extends Optimization {
  /** Bytes of device memory to use at most. */
  readonly memory?: number;
  /** Called once for each step, in order. */
  readonly onLosses?: (
    t: number,
    /** In the order of `Stepper.losses`; means over the batches of the step. */
    values: Float32Array,
    /** Of each network's gradient before it was clipped. */
    norms: Readonly<Record<string, number>>,
    outcome: Outcome,
  ) => void;
}

/**
 * What became of a step whose losses or gradients were not finite: nothing was updated, and it was `skipped` where a
 * smaller scale of the loss may help. Else training has `halted`: no later step updates anything either.
 */
export type Outcome = 'updated' | 'skipped' | 'halted';

/** What is kept of each parameter; running statistics have a value only. `gradient` is the last batch's, as it was. */
export type Kind = Extract<Twin, 'value' | 'gradient' | 'moment1' | 'moment2' | 'average'>;

/** Named inputs of the plan, `[n][h][w][stride]`. */
export type Inputs = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

export interface TrainingStep {
  /**
   * The number of the step in Adam's sense, from 1. Steps that a loss scale made skip count too (the host does not wait to
   * know of them), which makes the first updates after an overflow a little smaller than they might be.
   */
  readonly t: number;
  /** The learning rate of each network. */
  readonly rates: Readonly<Record<string, number>>;
  /** One for each batch of the step. */
  readonly inputs: readonly Inputs[];
}

/** What training needs of a device's memory, before anything is allocated. */
export function stepMemory(plan: StepPlan, options: TwinOptions): StepMemory {
  return layOut(plan, options).memory;
}

interface Loaded extends StepParts {
  readonly guard: LossGuard;
  readonly pacer: Pacer;
  readonly readback: Readback;
  readonly program: StepProgram;
}

export class Stepper {
  readonly memory: StepMemory;
  /** The names of the losses. */
  readonly losses: readonly string[];
  readonly #loaded: Loaded;
  readonly #options: StepperOptions;
  readonly #trained: readonly string[];
  readonly #inputs: readonly Port[];
  readonly #inTurn = inTurn();
  #clock: Clock | undefined;

  private constructor(loaded: Loaded, options: StepperOptions) {
    const { plan, layout } = loaded;
    this.#loaded = loaded;
    this.#options = options;
    this.memory = layout.memory;
    this.losses = lossPorts(plan).map(({ name }) => name);
    this.#trained = trainedArenas(plan).map((arena) => plan.arenas[arena]!.network);
    this.#inputs = plan.inputs.filter(({ name }) => name !== LOSS_SCALE);
  }

  /** `weights`: what the plan's constants need, and the residents to begin with. */
  static async open(
    device: GPUDevice,
    plan: StepPlan,
    weights: Weights,
    options: StepperOptions,
  ): Promise<Stepper> {
    const isScaled = plan.inputs.some(({ name }) => name === LOSS_SCALE);
    if (isScaled !== (options.lossScale !== undefined)) internal(`${plan.name}: scaled losses want a scale`);
    const { average } = options;
    if (average && !plan.arenas.some(({ network, trained }) => trained && network === average.network))
      internal(`${average.network} is averaged, but not trained`);
    checkFeatures(device, plan.kernels);
    checkWeights(plan.parameters, weights);
    const layout = layOut(plan, options);
    checkFits(plan, layout, device.limits, options.memory);
    const guard = new LossGuard(device);
    const loaded = await guard
      .wait(load({ device, plan, weights, layout, options, guard }))
      .catch(adviseSmaller);
    const stepper = new Stepper(loaded, options);
    try {
      writeTensors(loaded, 'value', weights);
      if (options.average) writeTensors(loaded, 'average', weights);
      stepper.#writeLossScale(options.lossScale ?? { scale: 1, since: 0 });
      return stepper;
    } catch (error) {
      await stepper.close();
      throw error;
    }
  }

  /** Resolves when the queue has room for the next. */
  step(step: TrainingStep): Promise<void> {
    return this.#inTurn(async () => {
      const { pacer, readback } = this.#loaded;
      try {
        await this.#step(step);
      } catch (error) {
        await pacer.cancel();
        await readback.cancel();
        throw error;
      }
    });
  }

  /** Waits until all steps are done and reported. */
  drain(): Promise<void> {
    return this.#inTurn(() => this.#drain());
  }

  /** What is there after the last step, by the residents' names, row-major. */
  read(kind: Kind): Promise<Tensors> {
    return this.#inTurn(async () => {
      await this.#drain();
      return readTensors(this.#loaded, kind);
    });
  }

  /** Replaces every tensor of that kind. */
  write(kind: Kind, tensors: Weights): Promise<void> {
    return this.#inTurn(async () => writeTensors(this.#loaded, kind, tensors));
  }

  readLossScale(): Promise<LossScale> {
    return this.#inTurn(async () => {
      await this.#drain();
      const { device, guard, program } = this.#loaded;
      const { buffers, ledger } = program;
      return readBuffer(device, guard, buffers.ledger, (values) => ({
        scale: values[ledger.scale]!,
        since: values[ledger.since]!,
      }));
    });
  }

  writeLossScale(state: LossScale): Promise<void> {
    return this.#inTurn(async () => this.#writeLossScale(state));
  }

  /**
   * The first step of the plan that makes a NaN or an infinity of these inputs, on the parameters as they are;
   * undefined when all of them make numbers. Nothing that is kept from step to step is changed.
   */
  diagnose(inputs: readonly Inputs[]): Promise<Diagnosis | undefined> {
    return this.#inTurn(async () => {
      await this.#drain();
      return diagnose({ ...this.#loaded, batches: inputs.map((batch) => () => this.#upload(batch)) });
    });
  }

  /** From the next step on, what the device and the host do is noted; the device needs `timestamp-query`. */
  record(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#drain();
      this.#clock = await Clock.open(this.#loaded);
      this.#loaded.pacer.time(this.#clock);
    });
  }

  /** What was noted since `record`, which ends here. */
  recorded(): Promise<Recording> {
    return this.#inTurn(async () => {
      const clock = this.#clock ?? internal('no steps are recorded');
      await this.#drain();
      try {
        return await clock.recording(this.#loaded.plan);
      } finally {
        this.#endRecord();
      }
    });
  }

  /** Frees the device memory once all steps have ended. The device stays open. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      const { pacer, readback, program, constants } = this.#loaded;
      await pacer.cancel();
      await readback.cancel();
      this.#endRecord();
      readback.destroy();
      program.destroy();
      constants.destroy();
    });
  }

  async #step({ t, rates, inputs }: TrainingStep): Promise<void> {
    const { device, pacer, readback, program } = this.#loaded;
    const { batch, keep, afterBatch, update, buffers, ledger } = program;
    if (inputs.length !== afterBatch.length)
      internal(`${inputs.length} batches for a step of ${afterBatch.length}`);
    device.queue.writeBuffer(buffers.rates, 0, this.#rates(t, rates));
    for (const [i, values] of inputs.entries()) {
      await pacer.submit(); // uploads overtake what is not yet submitted
      this.#upload(values);
      if (i === 0) await this.#run(keep);
      await this.#run(batch);
      await this.#run(afterBatch[i]!);
    }
    await this.#run(update);
    const bytes = 4 * ledger.length;
    await readback.read(buffers.ledger, 0, bytes, (values) =>
      pacer.host('read back', bytes, () => this.#report(t, values)),
    );
  }

  #endRecord(): void {
    this.#loaded.pacer.time(undefined);
    this.#clock?.destroy();
    this.#clock = undefined;
  }

  async #run(work: readonly Work[]): Promise<void> {
    const { pacer } = this.#loaded;
    for (const item of work) if (pacer.add(item)) await pacer.submit();
  }

  async #drain(): Promise<void> {
    await this.#loaded.pacer.drain();
    await this.#loaded.readback.drain();
  }

  #rates(t: number, rates: TrainingStep['rates']): Float32Array<ArrayBuffer> {
    const pairs = this.#trained.flatMap((network) => {
      const rate = rates[network] ?? internal(`no learning rate for ${network}`);
      return adamRates(t, rate, this.#options.adam[network]!.betas);
    });
    return Float32Array.from(pairs);
  }

  #upload(batch: Inputs): void {
    const { device, program, pacer } = this.#loaded;
    for (const { name, buffer } of this.#inputs) {
      const { dims, stride } = this.#loaded.plan.buffers[buffer]!;
      const values = batch[name] ?? internal(`no input ${name}`);
      const expected = dims.reduce<number>((product, dim) => product * Number(dim), stride);
      if (values.length !== expected) internal(`input ${name} has ${values.length} values, not ${expected}`);
      pacer.host('upload', values.byteLength, () =>
        device.queue.writeBuffer(program.resource(buffer).buffer, 0, values),
      );
    }
  }

  #report(t: number, values: Float32Array): void {
    const { ledger, afterBatch } = this.#loaded.program;
    const means = this.losses.map((_, i) => {
      const ofBatch = (_work: unknown, batch: number) =>
        values[ledger.scalars + batch * this.losses.length + i]!;
      return afterBatch.map(ofBatch).reduce((a, b) => a + b) / afterBatch.length;
    });
    const norms = Object.fromEntries(this.#trained.map((network, i) => [network, values[ledger.norms + i]!]));
    const undone = values[ledger.halted] ? 'halted' : 'skipped';
    this.#options.onLosses?.(t, Float32Array.from(means), norms, values[ledger.applied] ? 'updated' : undone);
  }

  #writeLossScale({ scale, since }: LossScale): void {
    const { device, program } = this.#loaded;
    const { ledger, buffers } = program;
    device.queue.writeBuffer(buffers.ledger, 4 * ledger.scale, Float32Array.of(scale));
    device.queue.writeBuffer(buffers.ledger, 4 * ledger.since, Float32Array.of(since));
  }
}

interface Loading extends Pick<StepParts, 'device' | 'plan' | 'layout' | 'options'> {
  readonly weights: Weights;
  readonly guard: LossGuard;
}

async function load({ weights: values, guard, ...given }: Loading): Promise<Loaded> {
  const { device, plan } = given;
  const constants = await uploadConstants(device, plan, values);
  let program: StepProgram | undefined;
  try {
    const parts = { ...given, constants, pipelines: new Pipelines(device) };
    program = await buildStep(parts);
    const pacer = new Pacer(device, guard);
    const readback = await Readback.create(device, guard, pacer, 4 * program.ledger.length);
    return { ...parts, guard, pacer, readback, program };
  } catch (error) {
    program?.destroy();
    constants.destroy();
    throw error;
  }
}

/** Memory that runs out in training is mended in the recipe. */
function adviseSmaller(error: unknown): never {
  if (!(error instanceof OutOfMemory)) throw error;
  throw new UserError(error.diagnostics.map((diagnostic) => ({ ...diagnostic, help: SMALLER })));
}
