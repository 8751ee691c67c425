// From measurements to rows of a table: rates, ratios, shares of the ceiling. A wrong result has none of them.

import { printBytes } from '../runtime/gpu.js';
import type { Result } from './race.js';
import { pairedRatio, type Spread, spread } from './stats.js';
import type { SystemSpec } from './system.js';
import { SRC_F32 } from './systems.js';

export interface Row extends Spread {
  readonly spec: SystemSpec;
  /** As the table names it: with its files, a system has a second row. */
  readonly system: string;
  readonly reps: number;
  readonly gflops?: number;
  /** How many times as long as `src` it takes. */
  readonly ratio?: number;
  /** Of the ceiling. */
  readonly share?: number;
  readonly peakMemory: number;
  readonly wrong: boolean;
  readonly accuracy: string;
}

/** Whether a result may count, and how far from right it is. */
export type Judge = (result: Result) => { readonly wrong: boolean; readonly accuracy: string };

interface Standard {
  /** GFLOP/s, where it was measured. */
  readonly ceiling: number | undefined;
  readonly flops: number;
  readonly judge: Judge;
}

export function rowsOf(results: readonly Result[], { ceiling, flops, judge }: Standard): Row[] {
  const base = results.find(({ spec }) => spec === SRC_F32)?.reps.map(({ ms }) => ms);
  return results.flatMap((result) => {
    const { spec, reps, peakMemory } = result;
    const { wrong, accuracy } = judge(result);
    const row = (system: string, times: readonly number[]): Row => {
      const taken = spread(times);
      const gflops = flops / taken.median / 1e6;
      return {
        spec,
        system,
        reps: reps.length,
        ...taken,
        ...(!wrong && {
          gflops,
          ...(base && { ratio: pairedRatio(times, base) }),
          ...(ceiling && !spec.onCpu && { share: gflops / ceiling }),
        }),
        peakMemory,
        wrong,
        accuracy: wrong ? `WRONG, does not count: ${accuracy}` : accuracy,
      };
    };
    const files = reps.flatMap(({ endToEnd }) => endToEnd ?? []);
    const times = reps.map(({ ms }) => ms);
    return [
      row(spec.name, times),
      ...(files.length > 0 ? [row(`${spec.name}, with start and files`, files)] : []),
    ];
  });
}

const COLUMNS: readonly (readonly [title: string, cell: (row: Row) => string])[] = [
  ['system', ({ system }) => system],
  ['reps', ({ reps }) => String(reps)],
  ['median ms', ({ median }) => printMs(median)],
  ['min', ({ min }) => printMs(min)],
  ['max', ({ max }) => printMs(max)],
  ['GFLOP/s', ({ gflops }) => gflops?.toPrecision(3) ?? '-'],
  ['x src', ({ ratio }) => ratio?.toPrecision(3) ?? '-'],
  ['of ceiling', ({ share }) => (share === undefined ? '-' : `${(100 * share).toFixed(1)} %`)],
  ['peak memory', ({ peakMemory }) => (peakMemory ? printBytes(peakMemory) : '-')],
  ['accuracy', ({ accuracy }) => accuracy],
];

export function printRows(rows: readonly Row[]): string {
  return printTable(
    COLUMNS.map(([title]) => title),
    rows.map((row) => COLUMNS.map(([, cell]) => cell(row))),
  );
}

/** Markdown that is readable as it is; all columns but the first and the last are numbers. */
export function printTable(titles: readonly string[], cells: readonly (readonly string[])[]): string {
  const widths = titles.map((title, i) => Math.max(title.length, 3, ...cells.map((row) => row[i]!.length)));
  const isText = (i: number) => i === 0 || i === titles.length - 1;
  const align = (cell: string, i: number) =>
    isText(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!);
  const rule = widths.map((width, i) => (isText(i) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [titles, rule, ...cells].map((row) => `| ${row.map(align).join(' | ')} |`).join('\n');
}

export function printMs(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3);
}
