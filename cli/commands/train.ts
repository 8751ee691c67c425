// `src train` on the command line; actions/train.ts does it.

import { Command } from 'commander';
import { fail } from '../../diagnostics.js';
import type { TrainOptions } from '../actions/train.js';
import type { Io } from '../io.js';
import { gpuOption, precisionOption, profileOption, setOption, wholeNumber } from '../options.js';

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
    .addOption(gpuOption())
    .option('--vgg <file>', 'the weights of VGG19; `src fetch vgg19` downloads them')
    .option('--log <steps>', 'record losses so often', whole('--log'))
    .option('--validate <steps>', 'measure on --val so often', whole('--validate'))
    .option('--checkpoint <steps>', 'save so often; every 10 minutes at least', whole('--checkpoint'))
    .option('--keep <number>', 'checkpoints of a stage to keep', whole('--keep'), 3)
    .addOption(profileOption('a step', 'STAGE.trace.json in the folder of the training'))
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
    .action(async (path: string, options: TrainOptions, command: Command) =>
      (await import('../actions/train.js')).train(io, path, options, command.parent?.args ?? []),
    );
}

/** `6G`, `512M`; without a letter, bytes. */
function memoryBytes(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMG]?)i?B?$/i.exec(text) ?? [];
  const bytes = Number(number) * 1024 ** ' KMG'.indexOf(unit.toUpperCase() || ' ');
  if (bytes >= 1) return Math.floor(bytes);
  return fail(`--memory ${text}: this is no amount of memory`, { help: 'write it like `--memory 6G`' });
}
