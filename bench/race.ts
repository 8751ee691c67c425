// Systems measured side by side: all are opened and warmed up, then they take turns, A B C A B C, so that whatever else
// the machine does meanwhile hits all alike. Only one works at a time.

import type { Job, Rep } from './peer.js';
import { Dropped, type Opened, openSystem, type System, type SystemSpec } from './system.js';

export interface RaceOptions {
  /** Measurements of each system at most. */
  readonly reps: number;
  /** A system that has worked this long, in seconds, is not measured again. */
  readonly seconds: number;
  /** What a single one may take, in seconds. */
  readonly limit: number;
  /** When nothing more is begun, as `performance.now()` has it. */
  readonly deadline: number;
  /** Whoever drops out does so alone. */
  onDropped(spec: SystemSpec, why: Dropped): void;
}

export interface Entry {
  readonly spec: SystemSpec;
  readonly job: Job;
}

export interface Result {
  readonly spec: SystemSpec;
  readonly opened: Opened;
  /** The first run, which compiles and caches: not counted. */
  readonly warmUp: Rep;
  readonly reps: readonly Rep[];
  /** Bytes; 0 where the system does not tell. */
  readonly peakMemory: number;
  /** Of the last run, where images are made. */
  readonly output?: Float32Array;
}

interface Runner {
  readonly entry: Entry;
  readonly system: System;
  readonly warmUp: Rep;
  readonly reps: Rep[];
  /** Milliseconds. */
  spent: number;
}

/** In the order of the entries; without those that are not there or failed, which is told. */
export async function race(entries: readonly Entry[], options: RaceOptions): Promise<Result[]> {
  const runners: Runner[] = [];
  const attempt = async <T>(spec: SystemSpec, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Dropped)) throw error;
      options.onDropped(spec, error);
      return undefined;
    }
  };
  const isInTime = () => performance.now() < options.deadline;
  try {
    for (const entry of entries) {
      const { spec, job } = entry;
      if (!isInTime()) {
        options.onDropped(spec, new Dropped('out of time'));
        continue;
      }
      const system = await attempt(spec, () => openSystem(spec, job, options.limit));
      if (!system) continue;
      const warmUp = await attempt(spec, () => system.run());
      if (warmUp) runners.push({ entry, system, warmUp, reps: [], spent: 0 });
      else system.kill();
    }
    for (let round = 0; round < options.reps && (round === 0 || isInTime()); round++) {
      for (const runner of runners.filter(({ spent }) => spent < 1000 * options.seconds)) {
        const began = performance.now();
        const rep = await attempt(runner.entry.spec, () => runner.system.run());
        runner.spent = rep ? runner.spent + performance.now() - began : Infinity;
        if (rep) runner.reps.push(rep);
      }
    }
    const finished = runners.filter(({ spent }) => spent < Infinity);
    const results = finished.map(({ entry: { spec, job }, system, warmUp, reps }) =>
      attempt(spec, async (): Promise<Result> => {
        const { opened } = system;
        const peakMemory = await system.peakMemory();
        const about = { spec, opened, warmUp, reps, peakMemory };
        return job.kind === 'inference' ? { ...about, output: await system.output() } : about;
      }),
    );
    return (await Promise.all(results)).filter((result) => result !== undefined);
  } finally {
    for (const { system } of runners) system.kill();
  }
}
