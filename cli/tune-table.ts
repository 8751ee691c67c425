// What `src tune` found, for people and for machines.

import type { ConvChoice } from '../compiler/target.js';
import type { Measured } from '../compiler/tune.js';
import type { Description } from '../runtime/device.js';
import { alignColumns, printable } from './human.js';

/** The classes of a subject. */
export interface Report {
  readonly name: string;
  readonly measured: readonly Measured[];
}

/**
 * ```
 * esrgan, 256x256
 *   conv3x3 64>32 s1 p1 f32  69 in  412 ms -> 380 ms   -8%  tiled 4x2x2 by 8x8x1
 *   ...
 *   all convolutions: 612 ms -> 580 ms, -5%
 *   without tuning: 5% above the best, 8% at most (conv3x3 64>32 s1 p1 f32)
 * ```
 */
export function printMeasured({ name, measured }: Report): string {
  const rows = measured.map(({ key, count, heuristic, chosen }) => {
    const gains = chosen.choice !== heuristic.choice;
    const after = gains ? [`-> ${printMs(chosen.ms)}`, printGain(heuristic.ms, chosen.ms)] : ['', ''];
    return [key, `${count} in`, printMs(heuristic.ms), ...after, printChoice(chosen.choice)];
  });
  const lines = [...alignColumns(rows, (column) => column === 0 || column === 5), ...printTotals(measured)];
  return `${[printable(name), ...lines.map((line) => `  ${line}`)].join('\n')}\n\n`;
}

function printTotals(measured: readonly Measured[]): string[] {
  const { heuristic, chosen, best } = totalsOf(measured);
  const distance = ({ heuristic, best }: Measured) => heuristic.ms / best.ms;
  const [worst] = measured.toSorted((a, b) => distance(b) - distance(a));
  if (!worst) return ['no convolutions'];
  const gain = chosen < heuristic ? `-> ${printMs(chosen)}, ${printGain(heuristic, chosen)}` : 'as they are';
  const [mean, most] = [heuristic / best - 1, distance(worst) - 1].map(percent);
  return [
    `all convolutions: ${printMs(heuristic)} ${gain}`,
    `without tuning: ${mean} above the best, ${most} at most (${worst.key})`,
  ];
}

/** What all convolutions of a subject take, in milliseconds. */
function totalsOf(measured: readonly Measured[]): Readonly<Record<'heuristic' | 'chosen' | 'best', number>> {
  const total = (of: 'heuristic' | 'chosen' | 'best') => measured.reduce((sum, one) => sum + one[of].ms, 0);
  return { heuristic: total('heuristic'), chosen: total('chosen'), best: total('best') };
}

/** `tiled 4x2x2 by 8x8x1`: what an invocation makes, in pixels and groups of channels, and what makes a workgroup. */
function printChoice({ variant, tile }: ConvChoice): string {
  if (!tile) return variant;
  const images = tile.images === undefined ? '' : ` of ${tile.images} images`;
  const lanes = 'lanes' in tile ? ` by ${tile.lanes.join('x')}` : '';
  return `${variant} ${tile.width}x${tile.height}x${tile.groups}${images}${lanes}`;
}

/** One line for each kernel that does not compute what the others do. */
export function describeFaults(reports: readonly Report[]): string[] {
  const lines = reports.flatMap(({ measured }) =>
    measured.flatMap(({ key, faults }) =>
      faults.map(({ choice, what }) => `${key} as ${printChoice(choice)}: ${what}`),
    ),
  );
  return [...new Set(lines)];
}

export function toJson({ name, driver, kind }: Description, reports: readonly Report[]) {
  return {
    device: { name, driver, kind },
    subjects: reports.map(({ name, measured }) => ({ name, ms: totalsOf(measured), classes: measured })),
  };
}

function printGain(before: number, after: number): string {
  return `-${percent(1 - after / before)}`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}

function printMs(ms: number): string {
  if (ms < 999.5) return `${ms.toPrecision(3)} ms`;
  return `${ms < 999_500 ? (ms / 1000).toPrecision(3) : Math.round(ms / 1000)} s`;
}
