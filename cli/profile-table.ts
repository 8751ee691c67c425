// A profile as people read it, and as lines for machines.

import { printBytes } from '../runtime/gpu.js';
import type { HostLine, Line } from '../runtime/profile.js';
import { alignColumns, printable } from './human.js';
import type { Profiled } from './profile.js';

export function printProfile({ of, profile, trace }: Profiled): string {
  const { ceilings, total, groups, layers, kernels, host } = profile;
  const inParts = groups.length > 0;
  const lines = [
    `profile of ${of}: ${time(total.ms)} ms of the device in ${count(total.calls)} dispatches, ${figure(total.gflops)} GFLOP/s`,
    `host: ${host.map(printHost).join(', ')}`,
    `roofline: ${figure(ceilings.gflops)} GFLOP/s or ${figure(ceilings.gbytes)} GB/s, as measured on this device just now`,
    ...(inParts
      ? table(
          ['part'],
          groups.map(({ group, ...line }) => ({ ...line, head: [group] })),
        )
      : []),
    ...table(
      ['layer', inParts ? 'part' : 'makes', 'at'],
      layers.map(({ name, group, shape, at, ...line }) => ({
        ...line,
        head: [name, (inParts ? group : shape) ?? '', at ?? ''],
      })),
    ),
    ...table(
      ['kernel'],
      kernels.map(({ kernel, ...line }) => ({ ...line, head: [kernel] })),
    ),
    '',
    `trace, for ui.perfetto.dev or chrome://tracing: ${trace}`,
  ];
  return lines.map((line) => `${printable(line).trimEnd()}\n`).join('');
}

/** One object for each line of each table, the total first. */
export function profileLines({ of, profile, trace }: Profiled): readonly object[] {
  const { ceilings, total, groups, layers, kernels, host } = profile;
  const tables = { groups, layers, kernels, host };
  return [
    { table: 'total', of, ...total, ceilings, trace },
    ...Object.entries(tables).flatMap(([name, rows]) => rows.map((row) => ({ table: name, ...row }))),
  ];
}

/** Rows with a smaller share of the time are counted together. */
const LEAST_SHARE = 0.01;

interface Row extends Line {
  /** What stands on the left, one for each title. */
  readonly head: readonly string[];
}

/** After an empty line. `rows` are sorted, the longest first. */
function table(titles: readonly string[], rows: readonly Row[]): string[] {
  const shown = rows.filter(({ share }) => share >= LEAST_SHARE);
  const rest = rows.slice(shown.length);
  const restOf = (key: 'calls' | 'ms' | 'share') => rest.reduce((sum, row) => sum + row[key], 0);
  const blanks = titles.slice(1).map(() => '');
  const cells = [
    [...titles, 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'roofline'],
    ...shown.map(({ head, calls, ms, share, gflops, gbytes, roofline }) => [
      ...head,
      count(calls),
      time(ms),
      percent(share),
      figure(gflops),
      figure(gbytes),
      percent(roofline),
    ]),
  ];
  if (rest.length > 0) {
    const name = `${rest.length} more`;
    cells.push([
      name,
      ...blanks,
      count(restOf('calls')),
      time(restOf('ms')),
      percent(restOf('share')),
      '',
      '',
      '',
    ]);
  }
  return ['', ...alignColumns(cells, (column) => column < titles.length)];
}

/** `upload 0.8 ms (48 KiB)` */
function printHost({ work, ms, bytes }: HostLine): string {
  return `${work} ${time(ms)} ms${bytes > 0 ? ` (${printBytes(bytes)})` : ''}`;
}

function count(calls: number): string {
  return calls.toLocaleString('en-US', { maximumFractionDigits: 1 });
}

function time(ms: number): string {
  const digits = ms < 100 ? 2 : ms < 10_000 ? 1 : 0;
  return ms.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function figure(value: number): string {
  if (value === 0) return '-';
  const digits = value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function percent(share: number): string {
  return share === 0 ? '-' : `${(100 * share).toFixed(1)} %`;
}
