// What tables of times do with a job: they leave out whom it would take too long, let the others take turns beside the
// ceiling, and turn what was measured into rows.

import type { TableOptions } from './options.js';
import type { Job } from './peer.js';
import { type Result, race } from './race.js';
import type { Report } from './report.js';
import { type Judge, printRows, type Row, rowsOf } from './rows.js';
import type { SystemSpec } from './system.js';
import { CEILING } from './systems.js';

export interface Contest {
  readonly job: Job;
  readonly flops: number;
  readonly systems: readonly SystemSpec[];
  /** GFLOP/s of the systems in the contests before; this one's are put in. */
  readonly rates: Map<string, number>;
  /** Tells who is right, given all. */
  judge(results: readonly Result[]): Judge;
}

export async function hold(contest: Contest, options: TableOptions, report: Report): Promise<Row[]> {
  const { job, flops, systems, rates, judge } = contest;
  const tell = (line: string) => report.tell(`- ${line}`);
  const entries = systems.flatMap((spec) => {
    const seconds = flops / 1e9 / (rates.get(spec.name) ?? Infinity);
    if (seconds <= options.limit) return [{ spec, job }];
    tell(
      `skipped: ${spec.name}: some ${seconds.toFixed(0)} s each at its speed so far (--limit ${options.limit})`,
    );
    return [];
  });
  const all = await race([...entries, { spec: CEILING, job: { kind: 'ceiling' } }], { ...options, tell });
  for (const { version, device } of all) {
    report.version(version);
    if (device) report.device(device);
  }
  const results = all.filter(({ spec }) => spec !== CEILING);
  const probe = all.find(({ spec }) => spec === CEILING);
  const ceiling = probe && Math.max(...probe.reps.map(({ flops = 0, ms }) => flops / ms / 1e6));
  const rows = rowsOf(results, { ceiling, flops, judge: judge(results) });
  for (const { system, gflops } of rows) if (gflops !== undefined) rates.set(system, gflops);
  if (ceiling) tell(`ceiling: ${ceiling.toPrecision(3)} GFLOP/s`);
  report.tell(`\n${printRows(rows)}`);
  return rows;
}

/** Whether nothing of ours was wrong. */
export function areOursRight(rows: readonly Row[]): boolean {
  return rows.every(({ system, wrong }) => !(wrong && system.startsWith('src')));
}
