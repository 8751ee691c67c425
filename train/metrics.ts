// The lines of a run's metrics.jsonl, as types and as text: what the trainer says, and what curves are drawn from.

import { isRecord } from '../formats/values.js';
import type { Scores } from './validation.js';

/** Of one training step. */
export interface StepMetrics {
  readonly stage: string;
  /** Steps of the stage that are done, this one included. */
  readonly step: number;
  /** Seconds since 1970. */
  readonly time: number;
  /** The generator's. */
  readonly lr: number;
  readonly loss: Terms;
  /** The discriminator's loss. */
  readonly critic?: Terms;
  /** L2 norms of the gradients, by network. */
  readonly norm?: Readonly<Record<string, number>>;
  readonly imagesPerSecond: number;
}

/** What a player minimises, and its terms as the loss names them. */
export interface Terms {
  readonly total: number;
  readonly [term: string]: number;
}

/** What the network does for the validation images after `step` steps. */
export interface ValidationMetrics {
  readonly stage: string;
  readonly step: number;
  readonly time: number;
  readonly validation: ValidationScores;
}

export interface ValidationScores extends Scores {
  /** Of bicubic enlargement, for the same images. */
  readonly bicubic: Scores;
  readonly images: readonly ({ readonly name: string } & Scores)[];
}

export type MetricsLine = StepMetrics | ValidationMetrics;

/** With its line end. A PSNR that is infinite (equal images) is written as null. */
export function printMetrics(line: MetricsLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** A line as it was read: values that are missing, or null, are no points of a curve. */
export interface ReadLine {
  readonly stage: string;
  readonly step: number;
  readonly [key: string]: unknown;
}

/** Undefined for what is no such line: the end of one that was being written when the process was killed. */
export function parseMetrics(text: string): ReadLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) return undefined;
    const { stage, step } = value;
    return typeof stage === 'string' && typeof step === 'number' ? { ...value, stage, step } : undefined;
  } catch {
    return undefined;
  }
}

/** Every number of a line but its place, by its path: `loss/total`, `validation/bicubic/psnr`. */
export function scalarsOf({ stage, step, time, ...rest }: MetricsLine | ReadLine): Scalar[] {
  return numbersIn(rest);
}

export type Scalar = readonly [tag: string, value: number];

function numbersIn(value: object): Scalar[] {
  return Object.entries(value).flatMap(([key, inner]): Scalar[] => {
    if (typeof inner === 'number') return [[key, inner]];
    return isRecord(inner) ? numbersIn(inner).map(([tag, number]) => [`${key}/${tag}`, number]) : [];
  });
}

/** The text without what was written of a stage after `step`: it is about to be written again. */
export function cutMetrics(text: string, stage: string, step: number): string {
  const kept = text.split('\n').filter((line) => {
    const read = parseMetrics(line);
    return read && (read.stage !== stage || read.step <= step);
  });
  return kept.map((line) => `${line}\n`).join('');
}
