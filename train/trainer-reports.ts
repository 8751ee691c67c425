// What the device says of each step, a little after it was sent: losses by the names of their terms, norms, speed. Every
// few steps it becomes a line of metrics.

import type { Outcome } from '../runtime/stepper.js';
import type { StepMetrics, Terms } from './metrics.js';
import { rateAt } from './schedule.js';
import type { PlannedStage } from './stages.js';
import type { TrainOptions } from './trainer.js';

/** Speed is measured over the last seconds. */
const WINDOW_MS = 10_000;

export class StepReports {
  /** The number of the step (from 0) that came to no numbers; from it on nothing was updated. */
  halted: number | undefined;
  /** Whether a line could not be recorded; `written` says why. */
  failed = false;
  readonly #planned: PlannedStage;
  readonly #options: TrainOptions;
  #began = performance.now();
  /** When the last steps were done. */
  #times: number[] = [];
  #stepsPerSecond: number | undefined;
  #written: Promise<void> = Promise.resolve();

  constructor(planned: PlannedStage, options: TrainOptions) {
    this.#planned = planned;
    this.#options = options;
  }

  readonly take = (
    t: number,
    values: Float32Array,
    norm: Readonly<Record<string, number>>,
    outcome: Outcome,
  ) => {
    if (outcome === 'halted') {
      this.halted ??= t - 1;
      return;
    }
    const { stage, step } = this.#planned;
    const { onStep, every, recorder } = this.#options;
    const { generator, discriminator } = termsOf(step.losses, values, stage.minimize.terms);
    const metrics: StepMetrics = {
      stage: stage.name,
      step: t,
      time: Date.now() / 1000,
      lr: rateAt(stage.optimizer, stage.schedule, t - 1),
      loss: generator!,
      ...(discriminator && { critic: discriminator }),
      norm,
      imagesPerSecond: this.#measureSpeed() * stage.batch * stage.accumulate,
    };
    onStep?.(metrics);
    if (t === 1 || t % every.log === 0 || t === stage.steps) {
      this.#written = this.#written.then(() => recorder.metrics(metrics));
      this.#written.catch(() => {
        this.failed = true;
      });
    }
  };

  /** Waits until all lines are recorded. */
  written(): Promise<void> {
    return this.#written;
  }

  /** Steps are about to be taken: what came before is no part of their time. */
  begin(): void {
    this.#began = performance.now();
    this.#times = [];
  }

  #measureSpeed(): number {
    const now = performance.now();
    const times = this.#times;
    times.push(now);
    while (times.length > 2 && now - times[0]! > WINDOW_MS) times.shift();
    if (times.length > 1) this.#stepsPerSecond = (1000 * (times.length - 1)) / (now - times[0]!);
    // Drivers compile kernels when they are first used: what the first step took says little.
    this.#stepsPerSecond ??= 1000 / (now - this.#began);
    return this.#stepsPerSecond;
  }
}

/** `names` are those of the step's losses: `generator`, `generator.0` for its first term, … */
function termsOf(
  names: readonly string[],
  values: Float32Array,
  terms: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, Terms>> {
  const players: Record<string, { total: number; [term: string]: number }> = {};
  for (const [i, name] of names.entries()) {
    const [player, term] = name.split('.') as [string, string | undefined];
    players[player] ??= { total: 0 };
    players[player][term === undefined ? 'total' : terms[player]![Number(term)]!] = values[i]!;
  }
  return players;
}
