// Everything that a real GPU should be good at, in one call that ends in time, because such machines are lent: what the
// adapter exposes, its ceilings, networks and training steps of real sizes, beside PyTorch and ncnn.

import type { TrainCase } from '../job.js';
import { NETWORKS } from '../networks.js';
import type { TableOptions } from '../options.js';
import { runScript } from '../overhead/script.js';
import type { Report } from '../report.js';
import { printMs, printTable, type Row } from '../rows.js';
import { GPU_INFERENCE, GPU_TRAINING } from '../systems.js';
import { compareInference, type InferenceCase } from './inference.js';
import { compareTraining } from './train.js';

const GAN = { file: 'bench/networks/gan.sr', stage: 'gan', patch: 128 };
const SRRESNET = { file: 'bench/networks/srresnet.sr', set: {}, stage: 'psnr' };

interface Sizes {
  readonly inference: Readonly<Record<string, InferenceCase>>;
  readonly training: Readonly<Record<string, TrainCase>>;
}

/** What matters most first: time may run out. */
const REAL: Sizes = {
  inference: {
    'rrdb23-256': { network: NETWORKS.rrdb23, width: 256, height: 256 },
    'conv64-512': { network: NETWORKS.conv64, width: 512, height: 512 },
    'compact-720p': { network: NETWORKS.compact, width: 1280, height: 720 },
  },
  training: {
    'esrgan-b8': { ...GAN, set: {}, batch: 8 },
    'srresnet-b16': { ...SRRESNET, patch: 96, batch: 16 },
  },
};

const QUICK: Sizes = {
  inference: {
    'rrdb6-16': { network: NETWORKS.rrdb6, width: 16, height: 16 },
    'conv64-64': { network: NETWORKS.conv64, width: 64, height: 64 },
    'compact-64': { network: NETWORKS.compact, width: 64, height: 64 },
  },
  training: {
    'esrgan-narrow-b1': { ...GAN, set: { features: 16, growth: 8, blocks: 1, wide: 4 }, batch: 1 },
    'srresnet-b1': { ...SRRESNET, patch: 32, batch: 1 },
  },
};

/** In seconds: no system is begun after this; whichever is under way has the rest of ten minutes. */
const BEGIN = 470;
/** In seconds, of one system in one case: GPUs take milliseconds. */
const ENOUGH = 4;

export const gpu = {
  cases: [REAL, QUICK].flatMap((sizes) => Object.values(sizes).flatMap((cases) => Object.keys(cases))),
  async run(given: TableOptions, report: Report): Promise<boolean> {
    const options = {
      ...given,
      seconds: Math.min(given.seconds, ENOUGH),
      deadline: performance.now() + 1000 * BEGIN,
    };
    const { inference, training } = given.quick ? QUICK : REAL;
    const facts = await runScript<readonly (readonly [name: string, value: string])[]>('adapter');
    report.keep('adapter', Object.fromEntries(facts));
    report.tell(`\n### adapter\n\n${facts.map(([name, value]) => `- ${name}: ${value}`).join('\n')}`);
    const images = await compareInference(inference, GPU_INFERENCE, options, report);
    const steps = await compareTraining(training, GPU_TRAINING, options, report);
    report.tell(`\n### summary\n\n${summary(new Map([...images.rows, ...steps.rows]))}`);
    return images.right && steps.right;
  },
};

/** A column for each case: time, rate, share of the ceiling. */
function summary(cases: ReadonlyMap<string, readonly Row[]>): string {
  const systems = new Set([...cases.values()].flat().map(({ system }) => system));
  const cell = (row: Row | undefined): string => {
    if (!row) return '-';
    if (row.gflops === undefined) return 'WRONG';
    const share = row.share === undefined ? '' : `, ${(100 * row.share).toFixed(0)} %`;
    return `${printMs(row.median)} ms, ${(row.gflops / 1000).toPrecision(3)} T${share}`;
  };
  const cells = [...systems].map((system) => [
    system,
    ...[...cases.values()].map((rows) => cell(rows.find((row) => row.system === system))),
  ]);
  return printTable(['median, TFLOP/s, of ceiling', ...cases.keys()], cells);
}
