// `src train`: the recipe of a `.sr` file on a folder of images, stage by stage, into the folder of a run.

import { fail } from '../../diagnostics.js';
import { load, type Program } from '../../dsl/index.js';
import { type NodeDevice, openDevice } from '../../runtime/node.js';
import { generatorOf, overridden, recipeOf, stageNamed, type TrainingStage } from '../../train/stages.js';
import type { TestImage } from '../../train/validation.js';
import type { Io } from '../io.js';
import type { ProfileFile, Settings } from '../options.js';
import { readGraph } from '../package.js';
import { RunFolder } from '../run-folder.js';
import { listTestFiles, readTestImage } from '../test-images.js';
import { writeBlends } from '../train-blends.js';
import { tracesIn } from '../train-profile.js';
import { trainReporter } from '../train-report.js';
import { type TrainSession, trainInFolder } from '../train-stage.js';

export interface TrainOptions {
  readonly data?: string;
  readonly dataLr?: string;
  readonly val?: string;
  readonly stage?: string;
  readonly out?: string;
  readonly steps?: number;
  readonly batch?: number;
  readonly patch?: number;
  readonly set: Settings;
  readonly init?: string;
  readonly resume?: true;
  readonly precision: 'f32' | 'f16';
  readonly memory?: number;
  readonly device: string;
  readonly vgg?: string;
  readonly log?: number;
  readonly validate?: number;
  readonly checkpoint?: number;
  readonly keep: number;
  readonly profile?: ProfileFile;
  readonly json?: true;
}

export async function train(
  io: Io,
  path: string,
  options: TrainOptions,
  command: readonly string[],
): Promise<void> {
  const { data, out, set, patch, keep } = options;
  if (!data) fail('what to learn from? --data is missing', { help: 'add --data FOLDER' });
  if (!out) fail('where to? --out is missing', { help: 'add --out runs/NAME' });
  const source = await readGraph(path);
  const program = load(source, { set, ...(patch !== undefined && { patch }) });
  const stages = chosenStages(program, options);
  const tests = options.val === undefined ? undefined : await testImages(options.val, program);

  const { report, end } = trainReporter(io, options.json ?? false);
  const all = recipeOf(program).stages.map(
    (stage) => stages.find(({ name }) => name === stage.name) ?? stage,
  );
  const folder = await RunFolder.open(out, {
    stages: all,
    keep,
    say: (text) => report({ event: 'note', text }),
  });
  let device: NodeDevice | undefined;
  const openOnce = async () => {
    if (device) return device;
    device = await openDevice({ device: options.device });
    const { name, kind } = device.description;
    report({ event: 'device', device: name, kind, summary: device.summary });
    return device;
  };
  const onAbort = () => report({ event: 'interrupted' });
  try {
    if (options.resume) await checkResumable(folder, stages);
    const traceOf = options.profile && (await tracesIn(out, options.profile, stages));
    const session: TrainSession = {
      ...given(options),
      program,
      folder,
      stages,
      command,
      data,
      device: openOnce,
      report,
      signal: io.signal,
      ...(tests && { tests }),
      ...(traceOf && { traceOf }),
      onBegin() {
        io.patient?.();
        io.signal.addEventListener('abort', onAbort, { once: true });
      },
    };
    for (const stage of stages) if (!(await trainInFolder(session, stage))) return;
    await writeBlends(program, folder, report);
  } finally {
    end();
    io.signal.removeEventListener('abort', onAbort);
    await device?.close();
    await folder.close();
  }
}

/** What a session takes of the options as it is. */
function given({ dataLr, init, vgg, precision, memory, log, validate, checkpoint }: TrainOptions) {
  const every = {
    ...(log !== undefined && { log }),
    ...(validate !== undefined && { validate }),
    ...(checkpoint !== undefined && { checkpoint }),
  };
  return {
    precision,
    every,
    ...(dataLr !== undefined && { dataLr }),
    ...(init !== undefined && { init }),
    ...(vgg !== undefined && { vgg }),
    ...(memory !== undefined && { memory }),
  };
}

/** One, or all that the file has, with what the user overrides. */
function chosenStages(program: Program, { stage, steps, batch }: TrainOptions): TrainingStage[] {
  const chosen = stage === undefined ? recipeOf(program).stages : [stageNamed(program, stage)];
  return chosen.map((one) =>
    overridden(one, { ...(steps !== undefined && { steps }), ...(batch !== undefined && { batch }) }),
  );
}

async function checkResumable(folder: RunFolder, stages: readonly TrainingStage[]): Promise<void> {
  for (const { name } of stages) if (await folder.newest(name)) return;
  const names = stages.map(({ name }) => name).join(' or ');
  fail(`${folder.path}: there is no checkpoint of ${names} to go on from`, {
    help: 'leave out --resume to begin',
  });
}

/** Bytes of test images that are kept from one validation to the next. */
const KEPT_BYTES = 2 ** 30;

async function testImages(path: string, program: Program): Promise<() => AsyncIterable<TestImage>> {
  const scale = generatorOf(program).scale!;
  const files = await listTestFiles(path, scale);
  const kept = new Map<string, TestImage>();
  let bytes = 0;
  return async function* () {
    for (const file of files) {
      const test = kept.get(file.name) ?? (await readTestImage(file, scale));
      const size = test.lr.data.byteLength + 2 * test.hr.data.byteLength;
      if (!kept.has(file.name) && bytes + size <= KEPT_BYTES) {
        kept.set(file.name, test);
        bytes += size;
      }
      yield test;
    }
  };
}
