// Steps of training, from a batch in the host's memory to the losses there, in every system that trains.

import { type Comparison, compareCases, hold, noExperience } from '../contest.js';
import { inFolder, type TrainCase, trainJob } from '../job.js';
import type { TableOptions } from '../options.js';
import type { Result } from '../race.js';
import type { Report } from '../report.js';
import type { Judge } from '../rows.js';
import type { SystemSpec } from '../system.js';
import { chosen, TRAINING } from '../systems.js';

const SRRESNET = { file: 'bench/networks/srresnet.sr', set: {}, stage: 'psnr', patch: 96 };
const RRDB6 = { file: 'bench/networks/rrdb.sr', set: {}, stage: 'psnr', patch: 96 };
const GAN = {
  file: 'bench/networks/gan.sr',
  set: { features: 16, growth: 8, blocks: 2, wide: 8 },
  stage: 'gan',
  patch: 128,
};

const CASES: Readonly<Record<string, TrainCase>> = {
  'srresnet-b1': { ...SRRESNET, batch: 1 },
  'srresnet-b4': { ...SRRESNET, batch: 4 },
  'rrdb6-b1': { ...RRDB6, batch: 1 },
  'rrdb6-b4': { ...RRDB6, batch: 4 },
  'esrgan-narrow-b1': { ...GAN, batch: 1 },
  'esrgan-narrow-b4': { ...GAN, batch: 4 },
};

/** The GAN's critic knows one size of patch. */
const QUICK = Object.fromEntries(
  Object.entries(CASES).map(([name, one]) => [
    name,
    one.stage === 'gan' ? one : { ...one, patch: 32, set: { blocks: 2 } },
  ]),
);

export const train = {
  cases: Object.keys(CASES),
  run: async (options: TableOptions, report: Report) =>
    (await compareTraining(options.quick ? QUICK : CASES, TRAINING, options, report)).right,
};

export async function compareTraining(
  cases: Readonly<Record<string, TrainCase>>,
  systems: readonly SystemSpec[],
  options: TableOptions,
  report: Report,
): Promise<Comparison> {
  const experience = noExperience();
  return compareCases(cases, options, (name, one) =>
    inFolder(async (folder) => {
      const { job, flops } = await trainJob(folder, one);
      const { file, batch, patch } = one;
      const widths = Object.entries(one.set).map(([setting, value]) => `, ${setting}=${value}`);
      const size = `batch ${batch} of ${patch}x${patch}, ${(flops / 1e9).toPrecision(4)} GFLOP a step`;
      report.tell(`\n### ${name}\n\n- ${file}${widths.join('')}, ${size}`);
      const contest = { job, flops, systems: chosen(systems, options.peers), experience, judge };
      const rows = await hold(contest, options, report);
      report.keep(name, { ...one, flops, rows });
      return rows;
    }),
  );
}

/** Losses of the first steps must be those of the others, relatively: that takes the same gradients and updates. */
const STEPS = 3;
const TOLERANCE = { f32: 1e-3, f16: 2e-2, '8 bits': 0 };

/** By the first system in f32 that is not ours; by ours when it is alone. */
function judge(results: readonly Result[]): Judge {
  const exact = results.filter(({ spec }) => spec.claims === 'f32');
  const reference = exact.find(({ spec }) => spec.peer !== 'src') ?? exact[0];
  return (result) => {
    const ours = firstLosses(result);
    if (!reference) return { wrong: false, accuracy: 'not compared' };
    const theirs = firstLosses(reference);
    const steps = Math.min(ours.length, theirs.length);
    const differences = ours.slice(0, steps).flatMap((losses, step) =>
      losses.map((loss, player) => {
        const expected = theirs[step]![player]!;
        return Math.abs(loss - expected) / Math.abs(expected);
      }),
    );
    const largest = Math.max(...differences);
    const first = ours[0]!.map((loss) => loss.toPrecision(6)).join(' and ');
    const compared = reference === result ? 'reference' : `${largest.toExponential(1)} in ${steps} steps`;
    return { wrong: !(largest <= TOLERANCE[result.spec.claims]), accuracy: `loss ${first}, ${compared}` };
  };
}

function firstLosses({ warmUp, reps }: Result): (readonly number[])[] {
  return [warmUp, ...reps].slice(0, STEPS).map(({ losses = [] }) => losses);
}
