// One image through a network, in every system: what people compare first.

import { compare, type Exactness, isWrong, printDifference } from '../accuracy.js';
import { type Comparison, compareCases, type Experience, hold, measure, noExperience } from '../contest.js';
import { inFolder, inferenceJob, type PreparedInference, type Size } from '../job.js';
import { type BenchNetwork, NETWORKS } from '../networks.js';
import type { TableOptions } from '../options.js';
import type { Result } from '../race.js';
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

const QUICK = Object.fromEntries(
  Object.entries(CASES).map(([name, { network, width, height }]) => [
    name,
    { network, width: width / 4, height: height / 4 },
  ]),
);

export const inference = {
  cases: Object.keys(CASES),
  run: async (options: TableOptions, report: Report) =>
    (await compareInference(options.quick ? QUICK : CASES, INFERENCE, options, report)).right,
};

export async function compareInference(
  cases: Readonly<Record<string, InferenceCase>>,
  systems: readonly SystemSpec[],
  options: TableOptions,
  report: Report,
): Promise<Comparison> {
  const experience = noExperience();
  return compareCases(cases, options, (name, one) =>
    inFolder(async (folder) => {
      const { width, height, network } = one;
      const prepared = await inferenceJob(folder, network, one, options.models);
      const { job, flops, weights } = prepared;
      const size = `${width}x${height}, ${(flops / 1e9).toPrecision(4)} GFLOP`;
      report.tell(`\n### ${name}\n\n- ${network.file}, ${size}, ${weights} weights`);
      const expected = await referenceOf(prepared, options, experience, report);
      const judge = judgeBy(expected);
      const contest = { job, flops, systems: chosen(systems, options.peers), experience, judge };
      const rows = await hold(contest, options, report);
      report.keep(name, { network: network.file, width, height, flops, weights, rows });
      return rows;
    }),
  );
}

/** The right image, by a program that is neither ours nor on the device; undefined where that is not installed. */
async function referenceOf(
  { job }: PreparedInference,
  options: TableOptions,
  experience: Experience,
  report: Report,
): Promise<Float32Array | undefined> {
  const once = { ...options, reps: 1 };
  const [reference] = await measure([{ spec: REFERENCE, job }], once, experience, report);
  if (!reference) report.tell(`- outputs are compared with those of ${SRC_F32.name}`);
  return reference?.output;
}

function judgeBy(expected: Float32Array | undefined) {
  return (results: readonly Result[]): Judge => {
    const right = expected ?? results.find(({ spec }) => spec === SRC_F32)?.output;
    return ({ spec, output }) => {
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
