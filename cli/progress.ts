// What `src run` tells while it works, as events; and the four ways to tell it: one line that updates on a terminal,
// plain lines elsewhere, JSON lines for machines, only failures when quiet.

import { render, toJson, type UserError } from '../diagnostics.js';
import { printable, printDuration, printItems } from './human.js';
import type { Io, Terminal } from './io.js';
import type { Profiled } from './profile.js';
import { printProfile, profileLines } from './profile-table.js';

export type RunEvent =
  | {
      readonly event: 'ready';
      readonly network: string;
      readonly weights: string;
      readonly precision: string;
      readonly device: string;
      readonly kind: 'hardware' | 'software' | 'cpu';
      /** Which device was chosen and why, and how to get a faster one. */
      readonly summary: string;
    }
  | { readonly event: 'batch'; readonly images: number; readonly skipped: number; readonly ignored: number }
  | {
      readonly event: 'progress';
      readonly input: string;
      /** Of this image, and which one it is. */
      readonly fraction: number;
      readonly image: number;
      readonly of: number;
      /** Until the last image is done. */
      readonly secondsLeft?: number;
    }
  | {
      readonly event: 'done';
      readonly input: string;
      readonly output: string;
      readonly width: number;
      readonly height: number;
      readonly seconds: number;
    }
  | (Profiled & { readonly event: 'profile' })
  | { readonly event: 'failed'; readonly input: string; readonly error: UserError }
  | {
      readonly event: 'end';
      /** Images in all, those done before included. */
      readonly of: number;
      readonly done: number;
      readonly failed: number;
      readonly skipped: number;
      readonly seconds: number;
      readonly interrupted: boolean;
    };

export type Report = (event: RunEvent) => void;

/** A long run without a terminal says something this often. */
const PLAIN_EVERY_MS = 10_000;
const LINE_EVERY_MS = 100;

export function reporter({ stdout, stderr }: Io, { json = false, quiet = false }): Report {
  if (json) return jsonLines(stdout);
  if (quiet) return failures(stderr);
  return stderr.isTTY ? updatingLine(stderr) : plainLines(stderr);
}

function jsonLines(stdout: Terminal): Report {
  return (event) => {
    for (const data of machineReadable(event)) stdout.write(`${JSON.stringify(data)}\n`);
  };
}

function machineReadable(event: RunEvent): readonly object[] {
  if (event.event === 'profile') return profileLines(event).map((line) => ({ event: event.event, ...line }));
  if (event.event !== 'failed') return [event];
  return [{ event: event.event, input: event.input, ...toJson(event.error) }];
}

function failures(stderr: Terminal): Report {
  return (event) => {
    if (event.event === 'failed') stderr.write(describe(event));
  };
}

function plainLines(stderr: Terminal): Report {
  const due = every(PLAIN_EVERY_MS, performance.now());
  return (event) => {
    if (event.event !== 'progress' || due()) stderr.write(describe(event));
  };
}

/** The last line shows progress; what is worth keeping scrolls up above it. */
function updatingLine(stderr: Terminal): Report {
  const due = every(LINE_EVERY_MS, 0);
  const erase = '\r\x1b[K';
  return (event) => {
    if (event.event !== 'progress') stderr.write(erase + describe(event));
    else if (due()) stderr.write(erase + describeProgress(event, (stderr.columns || 80) - 1));
  };
}

function every(ms: number, start: number): () => boolean {
  let last = start;
  return () => {
    const now = performance.now();
    if (now - last < ms) return false;
    last = now;
    return true;
  };
}

/** Whole lines; empty for what is not worth one. */
function describe(event: RunEvent): string {
  switch (event.event) {
    case 'ready':
      return `${printable(event.summary)}\n`;
    case 'batch':
      return describeBatch(event);
    case 'progress':
      return `${describeProgress(event)}\n`;
    case 'done': {
      const { input, output, width, height, seconds } = event;
      return `${printable(`${input} -> ${output}`)}  ${width}x${height}, ${printDuration(seconds)}\n`;
    }
    case 'profile':
      return printProfile(event);
    case 'failed':
      return render(event.error);
    case 'end': {
      const { of, done, failed, skipped, seconds, interrupted } = event;
      if (of === 1) return interrupted ? 'stopped\n' : '';
      const rest = [failed && `${failed} failed`, skipped && `${skipped} done before`].filter(Boolean);
      const counts = [printItems(done, 'image'), ...rest].join(', ');
      return interrupted
        ? `stopped after ${counts}; the same command goes on from there\n`
        : `${counts} in ${printDuration(seconds)}\n`;
    }
  }
}

/** At most `width` columns: a long path loses its beginning. */
function describeProgress(
  { input, image, of, fraction, secondsLeft: left }: RunEvent & { readonly event: 'progress' },
  width = Number.POSITIVE_INFINITY,
): string {
  const place = of > 1 ? `[${image}/${of}] ` : '';
  const rest = `: ${Math.floor(100 * fraction)}%${left === undefined ? '' : `, ${printDuration(left)} left`}`;
  const room = Math.max(8, width - place.length - rest.length);
  const name = printable(input);
  return place + (name.length > room ? `…${name.slice(1 - room)}` : name) + rest;
}

function describeBatch({ images, skipped, ignored }: RunEvent & { readonly event: 'batch' }): string {
  const rest = [
    skipped && `${printItems(skipped, 'image')} already done (--overwrite does them again)`,
    ignored && `${printItems(ignored, 'other file')} left alone`,
  ].filter(Boolean);
  return `${[`${printItems(images, 'image')} to do`, ...rest].join(', ')}\n`;
}

/**
 * Seconds until the last image is done, when the one in work took `elapsed` for `fraction` of it. `earlier` are the
 * times of those before it; each of the `following` is taken to need the average. Undefined while it would be a guess.
 */
export function secondsLeft(
  fraction: number,
  elapsed: number,
  earlier: readonly number[],
  following: number,
): number | undefined {
  if (elapsed < 0.5 || fraction < 0.01 || (fraction === 1 && following === 0)) return undefined;
  const whole = elapsed / fraction;
  const average = (earlier.reduce((sum, seconds) => sum + seconds, 0) + whole) / (earlier.length + 1);
  return whole - elapsed + following * average;
}
