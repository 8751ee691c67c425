// `src train`: the recipe of a `.sr` file on a folder of images, stage by stage, into the folder of a run.

import { Command } from 'commander';
import { fail } from '../../diagnostics.js';
import { load, type Program } from '../../dsl/index.js';
import { type NodeDevice, openDevice } from '../../runtime/node.js';
import { generatorOf, overridden, recipeOf, stageNamed, type TrainingStage } from '../../train/stages.js';
import type { TestImage } from '../../train/validation.js';
import type { Io } from '../io.js';
import { precisionOption, type Settings, setOption, wholeNumber } from '../options.js';
import { readGraph } from '../package.js';
import { RunFolder } from '../run-folder.js';
import { listTestFiles, readTestImage } from '../test-images.js';
import { writeBlends } from '../train-blends.js';
import { trainReporter } from '../train-report.js';
import { type TrainSession, trainInFolder } from '../train-stage.js';

interface Options {
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
  readonly json?: true;
}

export function trainCommand(io: Io): Command {
  const whole = (option: string) => (text: string) => wholeNumber(option, text);
  return new Command('train')
    .description('train the networks of a .sr file by its recipe')
    .argument('<file.sr>', 'your own file, or esrgan, srgan, … that come with this program')
    .option('--data <folder>', 'originals to learn from, with all below it')
    .option('--data-lr <folder>', 'their reduced versions; by default made as the recipe says')
    .option('--val <path>', 'originals to measure progress with: a folder, or an image')
    .option('-o, --out <folder>', 'where checkpoints, weights and curves go, such as runs/x')
    .option('--stage <name>', 'the stage to train; by default all of them, one after another')
    .option('--steps <number>', "in place of the file's", whole('--steps'))
    .option('--batch <number>', "in place of the file's", whole('--batch'))
    .option('--patch <pixels>', "in place of the file's", whole('--patch'))
    .addOption(setOption())
    .option('--init <weights>', 'start from these weights instead of random values or another stage')
    .option('--resume', 'go on from the newest checkpoint, as is done anyway; fail when there is none')
    .addOption(precisionOption('of activations; parameters are always f32').default('f32'))
    .option('--memory <bytes>', 'of the device to use at most, such as 6G', memoryBytes)
    .option('--device <which>', 'auto, hardware, software, or a part of its name', 'auto')
    .option('--vgg <file>', 'the weights of VGG19; `src fetch vgg19` downloads them')
    .option('--log <steps>', 'record losses so often', whole('--log'))
    .option('--validate <steps>', 'measure on --val so often', whole('--validate'))
    .option('--checkpoint <steps>', 'save so often; every 10 minutes at least', whole('--checkpoint'))
    .option('--keep <number>', 'checkpoints of a stage to keep', whole('--keep'), 3)
    .option('--json', 'report as JSON lines on standard output')
    .addHelpText(
      'after',
      `
Loss, learning rate, schedule and the rest of the recipe are written in the file; "src show" lists what there is.
An interrupted training goes on where it stopped when the same command is given again, to the same bits.

Examples:
  src train esrgan --data DIV2K/ --val Set14/ --out runs/esrgan
  src train mine.sr --data photos/ --stage psnr --steps 2000 --out runs/mine
  src run mine.sr --weights runs/mine --input photo.jpg
  src plot runs/mine
`,
    )
    .action((path: string, options: Options, command: Command) =>
      train(io, path, options, command.parent?.args ?? []),
    );
}

async function train(io: Io, path: string, options: Options, command: readonly string[]): Promise<void> {
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
function given({ dataLr, init, vgg, precision, memory, log, validate, checkpoint }: Options) {
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
function chosenStages(program: Program, { stage, steps, batch }: Options): TrainingStage[] {
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

/** `6G`, `512M`; without a letter, bytes. */
function memoryBytes(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMG]?)i?B?$/i.exec(text) ?? [];
  const bytes = Number(number) * 1024 ** ' KMG'.indexOf(unit.toUpperCase() || ' ');
  if (bytes >= 1) return Math.floor(bytes);
  return fail(`--memory ${text}: this is no amount of memory`, { help: 'write it like `--memory 6G`' });
}
