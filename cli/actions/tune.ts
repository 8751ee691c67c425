// `src tune`: measures which kernels are the fastest for the convolutions of a network on this machine's device, says
// what is gained, and writes it where every other command finds it. Nothing is written before all is measured.

import { rm } from 'node:fs/promises';
import { type Target, type Tuned, targetFor } from '../../compiler/target.js';
import { type Measured, tune } from '../../compiler/tune.js';
import { fail, internal, UserError } from '../../diagnostics.js';
import { load } from '../../dsl/index.js';
import { compile } from '../../index.js';
import { type NodeDevice, openDevice } from '../../runtime/node.js';
import { isOrtInstalled } from '../../runtime/node-ort.js';
import { printTuning, readTuning, tuningFile } from '../../runtime/node-tuned.js';
import type { Size } from '../../runtime/schedule.js';
import { overridden, recipeOf, stageNamed } from '../../train/stages.js';
import { failIo, prepareOutput, statOf, writeAtomic } from '../files.js';
import { type Io, write } from '../io.js';
import type { Settings } from '../options.js';
import { readGraph } from '../package.js';
import { statusLine } from '../status-line.js';
import { type Named, networkSubject, stageSubject } from '../tune-subjects.js';
import { describeFaults, printMeasured, type Report, toJson } from '../tune-table.js';

export interface TuneOptions {
  readonly set: Settings;
  readonly size: Size;
  /** The name of a stage, or all of them. */
  readonly train?: string | true;
  readonly batch?: number;
  readonly patch?: number;
  readonly precision: 'f32' | 'f16';
  readonly device: string;
  /** Seconds. */
  readonly budget: number;
  readonly forget?: true;
  readonly json?: true;
}

export async function tuneDevice(io: Io, path: string, options: TuneOptions): Promise<void> {
  for (const name of ['batch', 'patch'] as const) {
    if (options[name] !== undefined && options.train === undefined) {
      fail(`--${name} is of training steps, which are not measured`, { help: 'add --train' });
    }
  }
  const subjectsFor = options.forget ? undefined : await prepare(path, options);
  const device = await openDevice({ device: options.device });
  try {
    if (!subjectsFor) return await forget(io, device);
    await prepareOutput(tuningFile(device.description)).catch(adviseFolder);
    await write(io.stderr, `${device.summary}\n`);
    const target = targetFor(device.gpu, options.precision);
    const reports = await measureAll(io, device, target, subjectsFor(target, device.memory), options);
    await save(io, device, reports);
    if (options.json) await write(io.stdout, `${JSON.stringify(toJson(device.description, reports))}\n`);
    const faults = describeFaults(reports);
    if (faults.length > 0)
      internal(`kernels do not work on ${device.description.name}: ${faults.join('; ')}`);
  } catch (error) {
    if (io.signal.aborted) await write(io.stderr, 'stopped: nothing is written\n');
    throw error;
  } finally {
    await device.close();
  }
}

/** Which folder it is was not the user's choice. */
function adviseFolder(error: unknown): never {
  if (!(error instanceof UserError)) throw error;
  const help = 'set XDG_CACHE_HOME to a folder that can be written';
  throw new UserError(error.diagnostics.map((diagnostic) => ({ ...diagnostic, help })));
}

type Subjects = (target: Target, memory: number) => Named[];

/** All that can be wrong with what the user wants is found before the device is opened. */
async function prepare(path: string, { set, size, train, batch, patch }: TuneOptions): Promise<Subjects> {
  const source = await readGraph(path);
  const network = networkSubject(compile(source, { set }), size);
  if (train === undefined) return () => [network];
  const program = load(source, { set, ...(patch !== undefined && { patch }) });
  const stages = train === true ? recipeOf(program).stages : [stageNamed(program, train)];
  const chosen = stages.map((stage) => overridden(stage, batch === undefined ? {} : { batch }));
  return (target, memory) => [
    network,
    ...chosen.map((stage) => stageSubject(program, stage, target, memory)),
  ];
}

async function measureAll(
  io: Io,
  { gpu }: NodeDevice,
  target: Target,
  subjects: readonly Named[],
  { budget, json }: TuneOptions,
): Promise<Report[]> {
  const { signal } = io;
  const line = statusLine(io.stderr);
  const known = new Map<string, Measured>();
  const reports: Report[] = [];
  const end = performance.now() + 1000 * budget;
  try {
    for (const [i, { name, subject }] of subjects.entries()) {
      const share = (end - performance.now()) / (subjects.length - i);
      const onClass = (key: string, index: number, of: number) =>
        line.show(() => `${name}: ${index + 1} of ${of}, ${key}`);
      const measured: Measured[] = [];
      for await (const one of tune(gpu, subject, target, { budget: share, signal, known, onClass })) {
        measured.push(one);
        known.set(one.key, one);
      }
      line.end();
      reports.push({ name, measured });
      if (!json) await write(io.stdout, printMeasured({ name, measured }));
    }
  } finally {
    line.end();
  }
  return reports;
}

/** Adds to what was measured before. */
async function save({ stderr }: Io, { description }: NodeDevice, reports: readonly Report[]): Promise<void> {
  const file = tuningFile(description);
  const choices: Record<string, Tuned[string]> = { ...(await readTuning(description)).choices };
  for (const { key, chosen, heuristic } of reports.flatMap(({ measured }) => measured)) {
    if (chosen.choice === heuristic.choice) delete choices[key];
    else choices[key] = chosen.choice;
  }
  await writeAtomic(file, new TextEncoder().encode(printTuning(description, choices, new Date())));
  const beside = description.kind === 'software' && isOrtInstalled() ? BESIDE_ORT : '';
  await write(stderr, `${file}: from now on used on this device${beside}\n`);
}

/** Lest one wonders why `src run` gains nothing. */
const BESIDE_ORT = ' (networks run in ONNX Runtime here, unless with --device software)';

async function forget({ stderr }: Io, { description }: NodeDevice): Promise<void> {
  const file = tuningFile(description);
  const found = await statOf(file);
  await rm(file, { force: true }).catch((error) => failIo(file, 'written', error));
  await write(stderr, found ? `${file}: removed\n` : `nothing was measured on ${description.name}\n`);
}
