// What tables of times do with a job: they leave out who is not there or would take too long, let the others take turns
// beside the ceiling, and turn what was measured into rows.

import type { TableOptions } from './options.js';
import type { Job } from './peer.js';
import { type Entry, type Result, race } from './race.js';
import type { Report } from './report.js';
import { type Judge, printRows, type Row, rowsOf } from './rows.js';
import type { SystemSpec } from './system.js';
import { CEILING } from './systems.js';

/** What contests have shown of systems, for those that follow. */
export interface Experience {
  /** GFLOP/s. */
  readonly rates: Map<SystemSpec, number>;
  /** Not there at all. */
  readonly missing: Set<SystemSpec>;
}

export function noExperience(): Experience {
  return { rates: new Map(), missing: new Set() };
}

export interface Contest {
  readonly job: Job;
  readonly flops: number;
  readonly systems: readonly SystemSpec[];
  readonly experience: Experience;
  /** Tells who is right, given all. */
  judge(results: readonly Result[]): Judge;
}

export async function hold(contest: Contest, options: TableOptions, report: Report): Promise<Row[]> {
  const { job, flops, systems, experience, judge } = contest;
  const entries = systems.flatMap((spec): Entry[] => {
    const seconds = flops / 1e9 / (experience.rates.get(spec) ?? Infinity);
    if (seconds <= options.limit) return [{ spec, job }];
    const why = `some ${seconds.toFixed(0)} s each at its speed so far (--limit ${options.limit})`;
    report.tell(`- skipped: ${spec.name}: ${why}`);
    return [];
  });
  const ceiling: Entry = { spec: CEILING, job: { kind: 'ceiling' } };
  const all = await measure([...entries, ceiling], options, experience, report);
  const results = all.filter(({ spec }) => spec !== CEILING);
  const top = all.find(({ spec }) => spec === CEILING)?.reps.map(({ ceilings }) => ceilings!);
  const gflops = top && Math.max(...top.map((one) => one.gflops));
  const rows = rowsOf(results, { ceiling: gflops, flops, judge: judge(results) });
  for (const { spec, gflops } of rows) if (gflops !== undefined) experience.rates.set(spec, gflops);
  if (top) {
    const gbytes = Math.max(...top.map((one) => one.gbytes));
    report.tell(`- ceilings: ${gflops!.toPrecision(3)} GFLOP/s, ${gbytes.toPrecision(3)} GB/s`);
  }
  report.tell(`\n${printRows(rows)}`);
  return rows;
}

/** A race that tells who was not in it, who was, and on which device. */
export async function measure(
  entries: readonly Entry[],
  options: TableOptions,
  { missing }: Experience,
  report: Report,
): Promise<Result[]> {
  const present = entries.filter(({ spec }) => !missing.has(spec));
  const results = await race(present, {
    ...options,
    onDropped(spec, why) {
      if (why.missing === 'system') missing.add(spec);
      report.tell(`- ${why.missing ? 'skipped' : 'FAILED'}: ${spec.name}: ${why.message}`);
    },
  });
  for (const { version, device } of results.map(({ opened }) => opened)) {
    if (version) report.version(version);
    if (device) report.device(device);
  }
  return results;
}

/** What a table found. */
export interface Comparison {
  readonly rows: ReadonlyMap<string, readonly Row[]>;
  /** Whether everything of ours was. */
  readonly right: boolean;
}

/** The chosen cases of a table, one after another. */
export async function compareCases<Case>(
  cases: Readonly<Record<string, Case>>,
  { only }: TableOptions,
  run: (name: string, one: Case) => Promise<readonly Row[]>,
): Promise<Comparison> {
  const rows = new Map<string, readonly Row[]>();
  for (const [name, one] of Object.entries(cases)) {
    if (!only || only.includes(name)) rows.set(name, await run(name, one));
  }
  return { rows, right: [...rows.values()].every(areOursRight) };
}

/** Whether nothing of ours was wrong. */
function areOursRight(rows: readonly Row[]): boolean {
  return rows.every(({ spec, wrong }) => !(wrong && spec.peer.startsWith('src')));
}
