// Everything but arithmetic, for this project alone: what users wait for before the first pixel, what the host does for
// each dispatch, and how much memory is planned.

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { printBytes } from '../../runtime/gpu.js';
import { testImage } from '../images.js';
import { inFolder, writeImages } from '../job.js';
import { ROOT } from '../machine.js';
import type { TableOptions } from '../options.js';
import type { PlannedMemory } from '../overhead/memory.js';
import { execute, runScript, scriptFile } from '../overhead/script.js';
import type { DeviceName } from '../peer.js';
import type { Report } from '../report.js';
import { printMs, printTable } from '../rows.js';
import { type Spread, spread } from '../stats.js';

type Measure = (report: Report, options: TableOptions, folder: string) => Promise<unknown>;

const CASES: Readonly<Record<string, Measure>> = { compiling, dispatching, starting };

export const overhead = {
  cases: Object.keys(CASES),
  async run(options: TableOptions, report: Report) {
    for (const [name, measure] of Object.entries(CASES)) {
      if (options.only && !options.only.includes(name)) continue;
      report.tell(`\n### ${name}\n`);
      report.keep(name, await inFolder((folder) => measure(report, options, folder)));
    }
    return true;
  },
};

interface Compiling {
  readonly phases: readonly { readonly phase: string; readonly cold: number; readonly warm: number }[];
  readonly memory: readonly (PlannedMemory & { readonly what: string })[];
}

async function compiling(report: Report): Promise<Compiling> {
  const result = await runScript<Compiling>('compiling');
  report.tell(
    printTable(
      ['graphs/esrgan.sr, in one process', 'first ms', 'then ms', ''],
      result.phases.map(({ phase, cold, warm }) => [phase, printMs(cold), printMs(warm), '']),
    ),
  );
  report.tell('');
  report.tell(
    printTable(
      ['memory of what is computed', 'a buffer each', 'planned', 'lives at once', 'planned over that'],
      result.memory.map(({ what, naive, planned, bound }) => [
        what,
        printBytes(naive),
        printBytes(planned),
        printBytes(bound),
        `${(planned / bound).toFixed(3)}`,
      ]),
    ),
  );
  return result;
}

interface Dispatching {
  readonly device: DeviceName;
  readonly opened: number;
  readonly pipelines: { readonly kernels: number; readonly ms: number };
  readonly dispatch: { readonly host: Spread; readonly device: Spread };
  readonly replay: { readonly steps: number; readonly ms: Spread };
}

async function dispatching(report: Report, _: TableOptions, folder: string) {
  const caches = ownCaches(folder, 'dispatching');
  const cold = await runScript<Dispatching>('dispatching', caches);
  const warm = await runScript<Dispatching>('dispatching', caches);
  report.device(warm.device);
  const { pipelines, dispatch, replay } = warm;
  const micro = ({ median, min, max }: Spread) => [median, min, max].map((value) => value.toPrecision(3));
  const perStep = Object.fromEntries(
    Object.entries(replay.ms).map(([name, ms]) => [name, (1000 * ms) / replay.steps]),
  ) as unknown as Spread;
  report.tell(
    printTable(
      ['microseconds', 'median', 'min', 'max', ''],
      [
        ['host, to encode a dispatch', ...micro(dispatch.host), ''],
        ['device, a dispatch that does nothing', ...micro(dispatch.device), '2000 in one submit'],
        [
          'a training step, each dispatch',
          ...micro(perStep),
          `${replay.steps} dispatches, next to no pixels`,
        ],
      ],
    ),
  );
  report.tell('');
  report.tell(
    printTable(
      ['ms', 'empty caches', 'then', ''],
      [
        ['open the device', printMs(cold.opened), printMs(warm.opened), ''],
        [
          "ESRGAN's pipelines",
          printMs(cold.pipelines.ms),
          printMs(pipelines.ms),
          `${pipelines.kernels} kernels`,
        ],
      ],
    ),
  );
  return { cold, warm };
}

/** Whole commands: from the start of the process to its end, with the file written. */
async function starting(report: Report, { reps }: TableOptions, folder: string) {
  const { one } = await writeImages(folder, testImage(64, 64));
  const output = join(folder, 'large.png');
  const run = ['run', '--input', one, '--output', output, '--overwrite', '--device'];
  const commands: readonly (readonly [name: string, words: readonly string[]])[] = [
    ['src compile graphs/esrgan.sr', ['compile', 'graphs/esrgan.sr']],
    ...['hardware', 'software', 'cpu'].map(
      (device) => [`src run, 64x64, --device ${device}`, [...run, device]] as const,
    ),
  ];
  const rows: string[][] = [];
  const result: Record<string, { first: Ended; then: Spread; cpu: Spread }> = {};
  for (const [name, words] of commands) {
    const caches = ownCaches(folder, name);
    try {
      const first = await started(words, caches);
      const others: Ended[] = [];
      for (let i = 0; i < reps; i++) others.push(await started(words, caches));
      const [then, cpu] = [spread(others.map(({ ms }) => ms)), spread(others.map((one) => one.cpu))];
      result[name] = { first, then, cpu };
      rows.push([name, ...[first.ms, then.median, then.min, then.max, cpu.median].map(printMs), '']);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      report.tell(`- skipped: ${name}: ${error.message}`);
    }
  }
  report.tell(`\n${printTable(['ms', 'empty caches', 'then', 'min', 'max', 'CPU', ''], rows)}`);
  return result;
}

interface Ended {
  readonly ms: number;
  /** Of all threads, user and system. */
  readonly cpu: number;
}

class CommandFailed extends Error {}

async function started(words: readonly string[], variables: NodeJS.ProcessEnv): Promise<Ended> {
  const tellCpu = pathToFileURL(scriptFile('tell-cpu')).href;
  const began = performance.now();
  const { stderr } = await execute(
    process.execPath,
    ['--import', tellCpu, join(ROOT, 'dist/cli/main.js'), ...words],
    { cwd: ROOT, env: { ...process.env, ...variables }, maxBuffer: 2 ** 26 },
  ).catch((error) => {
    throw new CommandFailed(/^error: .*$/m.exec(error.stderr)?.[0] ?? String(error.message));
  });
  const ms = performance.now() - began;
  return { ms, cpu: Number(/^cpu (\d+)$/m.exec(stderr)![1]) / 1000 };
}

/** Where drivers keep compiled shaders: empty at first, and nobody else's. */
function ownCaches(folder: string, name: string): NodeJS.ProcessEnv {
  const cache = join(folder, `shaders-${name.replace(/\W/g, '-')}`);
  if (!existsSync(cache)) mkdirSync(cache);
  return { MESA_SHADER_CACHE_DIR: cache, __GL_SHADER_DISK_CACHE_PATH: cache };
}
