// What `src train` tells while it works, as events; and the two ways to tell it: a line that updates with what is worth
// keeping above it, or JSON lines for machines.

import { printBytes } from '../runtime/gpu.js';
import type { StepMemory } from '../runtime/stepper.js';
import type { MetricsLine, StepMetrics, ValidationMetrics } from '../train/metrics.js';
import { printable, printDuration, printItems, printTable } from './human.js';
import type { Io, Terminal } from './io.js';
import type { Profiled } from './profile.js';
import { printProfile, profileLines } from './profile-table.js';
import { statusLine } from './status-line.js';

export type TrainEvent =
  | { readonly event: 'note'; readonly text: string }
  | {
      readonly event: 'device';
      readonly device: string;
      readonly kind: 'hardware' | 'software';
      readonly summary: string;
    }
  | {
      readonly event: 'stage';
      readonly stage: string;
      /** Where it goes on, and where it ends. */
      readonly step: number;
      readonly steps: number;
      /** `psnr`, `weights.pth` or `random values`. */
      readonly from: string;
      readonly loss: string;
      readonly batch: string;
      readonly images: number;
      readonly precision: string;
      readonly dispatches: number;
      readonly kernels: number;
      readonly memory: StepMemory;
      /** What is computed twice to save memory, if anything. */
      readonly recomputed?: string;
    }
  /** Every step. */
  | {
      readonly event: 'progress';
      readonly metrics: StepMetrics;
      /** Unknown in the first step. */
      readonly secondsLeft?: number;
      readonly steps: number;
    }
  /** What is recorded. */
  | { readonly event: 'metrics'; readonly metrics: MetricsLine }
  | { readonly event: 'checkpoint'; readonly stage: string; readonly step: number }
  | (Profiled & { readonly event: 'profile' })
  | { readonly event: 'interrupted' }
  | {
      readonly event: 'end';
      readonly stage: string;
      readonly step: number;
      readonly steps: number;
      readonly seconds: number;
      readonly weights: string;
    }
  | { readonly event: 'blend'; readonly blend: string; readonly weights: string };

export type TrainReport = (event: TrainEvent) => void;

export interface TrainReporter {
  readonly report: TrainReport;
  /** Takes away what is not worth keeping. */
  end(): void;
}

export function trainReporter({ stdout, stderr }: Io, json: boolean): TrainReporter {
  if (json) return { report: jsonLines(stdout), end() {} };
  const line = statusLine(stderr);
  const report: TrainReport = (event) => {
    if (event.event === 'progress') return line.show(() => describeProgress(event));
    const text = describe(event);
    if (text !== undefined) line.keep(text);
    if (event.event === 'stage') line.show(() => `${event.stage}: compiling ${event.kernels} kernels`);
  };
  return { report, end: line.end };
}

function jsonLines(stdout: Terminal): TrainReport {
  return (event) => {
    if (event.event === 'progress') return;
    const lines = event.event === 'profile' ? profileLines(event) : [event];
    for (const line of lines) stdout.write(`${JSON.stringify({ event: event.event, ...line })}\n`);
  };
}

type Event<K extends TrainEvent['event']> = Extract<TrainEvent, { event: K }>;

/** Whole lines; undefined for what is not worth one. */
function describe(event: Exclude<TrainEvent, Event<'progress'>>): string | undefined {
  switch (event.event) {
    case 'note':
      return printable(event.text);
    case 'device':
      return printable(event.summary);
    case 'stage':
      return describeStage(event);
    case 'metrics':
      return 'validation' in event.metrics ? describeValidation(event.metrics) : undefined;
    case 'checkpoint':
      return undefined;
    case 'profile':
      return printProfile(event);
    case 'interrupted':
      return 'finishing the step and saving a checkpoint; Ctrl-C again does without';
    case 'end': {
      const { stage, step, steps, seconds, weights } = event;
      const place = `${stage}: ${count(step)} of ${printItems(steps, 'step')}`;
      return step < steps
        ? `${place}, stopped; the same command goes on from there`
        : printable(`${place} in ${printDuration(seconds)} -> ${weights}`);
    }
    case 'blend':
      return printable(`${event.blend} -> ${event.weights}`);
  }
}

function describeStage(event: Event<'stage'>): string {
  const { stage, step, steps, from, loss, batch, images, precision, dispatches, kernels } = event;
  const { memory, recomputed } = event;
  const { arenas, planned, naive, constants } = memory;
  return printTable([
    [
      'stage',
      `${stage}: ${step > 0 ? `step ${count(step)} of ` : ''}${printItems(steps, 'step')}, from ${from}`,
    ],
    ['loss', loss],
    ['data', `${batch}, from ${printItems(images, 'image')}`],
    ['step', `${count(dispatches)} dispatches of ${count(kernels)} kernels, ${precision}`],
    [
      'memory',
      `${printBytes(arenas + planned + constants)}: ${printBytes(arenas)} for what is trained, ` +
        `${printBytes(planned)} for what is computed (naive ${printBytes(naive)})` +
        (constants > 0 ? `, ${printBytes(constants)} for what is not trained` : ''),
    ],
    ...(recomputed === undefined ? [] : [['computed twice', recomputed] as const]),
  ]);
}

function describeProgress({ metrics, secondsLeft, steps }: Event<'progress'>): string {
  const { stage, step, loss, critic, imagesPerSecond } = metrics;
  return [
    `${stage} ${count(step)}/${count(steps)}`,
    `loss ${number(loss.total)}`,
    ...(critic ? [`critic ${number(critic.total)}`] : []),
    `${imagesPerSecond.toPrecision(3)} images/s`,
    ...(secondsLeft === undefined ? [] : [`${printDuration(secondsLeft)} left`]),
  ].join('  ');
}

function describeValidation({ stage, step, validation }: ValidationMetrics): string {
  const { psnr, ssim, bicubic } = validation;
  const gain = psnr - bicubic.psnr;
  return (
    `${stage} ${count(step)}: PSNR-Y ${psnr.toFixed(2)} dB (bicubic ${bicubic.psnr.toFixed(2)}, ` +
    `${gain < 0 ? '' : '+'}${gain.toFixed(2)}), SSIM-Y ${ssim.toFixed(4)} (bicubic ${bicubic.ssim.toFixed(4)})`
  );
}

const count = (value: number) => value.toLocaleString('en-US');
const number = (value: number) => String(Number(value.toPrecision(4)));
