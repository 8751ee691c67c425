// One image through a network, in every system: what people compare first.

import { compare, type Exactness, isWrong, printDifference } from '../accuracy.js';
import { areOursRight, hold } from '../contest.js';
import { inFolder, inferenceJob, type PreparedInference, type Size } from '../job.js';
import { type BenchNetwork, NETWORKS } from '../networks.js';
import type { TableOptions } from '../options.js';
import { type Result, race } from '../race.js';
import type { Report } from '../report.js';
import type { Judge } from '../rows.js';
import type { SystemSpec } from '../system.js';
import { chosen, INFERENCE, REFERENCE, SRC_F32 } from '../systems.js';

export interface InferenceCase extends Size {
  readonly network: BenchNetwork;
}

/** Small ones first: what a system takes for one says whether it can do the next. */
const CASES: Readonly<Record<string, InferenceCase>> = {
  'compact-256': { network: NETWORKS.compact, width: 256, height: 256 },
  'rrdb6-64': { network: NETWORKS.rrdb6, width: 64, height: 64 },
  'rrdb6-128': { network: NETWORKS.rrdb6, width: 128, height: 128 },
  'rrdb23-64': { network: NETWORKS.rrdb23, width: 64, height: 64 },
  'rrdb23-128': { network: NETWORKS.rrdb23, width: 128, height: 128 },
};

export const inference = {
  cases: Object.keys(CASES),
  run: (options: TableOptions, report: Report) => compareInference(CASES, INFERENCE, options, report),
};

/** Whether everything of ours was right. */
export async function compareInference(
  cases: Readonly<Record<string, InferenceCase>>,
  systems: readonly SystemSpec[],
  options: TableOptions,
  report: Report,
): Promise<boolean> {
  const rates = new Map<string, number>();
  let right = true;
  for (const [name, one] of Object.entries(cases)) {
    if (options.only && !options.only.includes(name)) continue;
    const { width, height, network } = one;
    await inFolder(async (folder) => {
      const prepared = await inferenceJob(folder, network, one, options.models);
      const { job, flops, weights } = prepared;
      const size = `${width}x${height}, ${(flops / 1e9).toPrecision(4)} GFLOP`;
      report.tell(`\n### ${name}\n\n- ${network.file}, ${size}, ${weights} weights`);
      const expected = await referenceOf(prepared, options, report);
      const judge = judgeBy(expected, weights);
      const contest = { job, flops, systems: chosen(systems, options.peers), rates, judge };
      const rows = await hold(contest, options, report);
      report.keep(name, { network: network.file, width, height, flops, weights, rows });
      right &&= areOursRight(rows);
    });
  }
  return right;
}

/** The right image, by a program that is neither ours nor on the device; undefined where that is not installed. */
async function referenceOf(
  { job }: PreparedInference,
  options: TableOptions,
  report: Report,
): Promise<Float32Array | undefined> {
  const once = { ...options, reps: 1, tell: (line: string) => report.tell(`- ${line}`) };
  const [reference] = await race([{ spec: REFERENCE, job }], once);
  if (!reference) report.tell(`- outputs are compared with those of ${SRC_F32.name}`);
  return reference?.output;
}

function judgeBy(expected: Float32Array | undefined, weights: PreparedInference['weights']) {
  return (results: readonly Result[]): Judge => {
    const right = expected ?? results.find(({ spec }) => spec === SRC_F32)?.output;
    return ({ spec, output }) => {
      if (spec.peer === 'ncnn' && weights === 'random')
        return { wrong: false, accuracy: 'not compared: its weights are its own' };
      if (!right || !output) return { wrong: false, accuracy: 'not compared' };
      const difference = compare(output, asClaimed(right, spec.claims));
      return { wrong: isWrong(difference, spec.claims), accuracy: printDifference(difference) };
    };
  };
}

/** Files hold nothing beyond black and white. */
function asClaimed(reference: Float32Array, claims: Exactness): Float32Array {
  return claims === '8 bits' ? reference.map((value) => Math.min(1, Math.max(0, value))) : reference;
}
