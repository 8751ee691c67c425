// `src prepare` on the command line; actions/prepare.ts does it.

import { Command, Option } from 'commander';
import { fail } from '../../diagnostics.js';
import type { PrepareOptions } from '../actions/prepare.js';
import type { Io } from '../io.js';
import { wholeNumber } from '../options.js';

export function prepareCommand(io: Io): Command {
  const whole = (option: string) => (text: string) => wholeNumber(option, text);
  return new Command('prepare')
    .description('make a data set of originals and their reduced versions, for src train')
    .requiredOption('-i, --input <folder>', 'the originals (with all folders below)')
    .requiredOption('-o, --output <folder>', 'gets hr/, lr_x4/ and meta_info.txt')
    .option('--scale <number>', 'how many times smaller the reduced versions are', whole('--scale'), 4)
    .option('--subimages <pixels>', 'cut originals into squares of this side, 480 say', whole('--subimages'))
    .option('--step <pixels>', 'from one square to the next; by default half a side', whole('--step'))
    .option('--multiscale', 'add copies of 3/4, 1/2, 1/3 the size, and with 400 pixels on the shorter side')
    .addOption(
      new Option('--degrade <how>', 'bicubic, or realesrgan: random blur, noise and JPEG')
        .choices(['bicubic', 'realesrgan'])
        .default('bicubic'),
    )
    .option('--seed <number>', 'of what is random in realesrgan', (text) => seedOf(text), 0)
    .option('--overwrite', 'make again what is there already')
    .option('--json', 'report as JSON lines on standard output')
    .option('-q, --quiet', 'report nothing but failures')
    .addHelpText(
      'after',
      `
Sides are cropped to multiples of the scale, transparency is left out, and files are PNG with 8 bits. Bicubic is
MATLAB's, bit for bit what src train makes of originals by itself. The same command goes on after an interruption.

Examples:
  src prepare --input photos/ --output set/
  src prepare --input DIV2K_train_HR/ --output DIV2K/ --subimages 480 --step 240
  src train esrgan --data DIV2K/hr --data-lr DIV2K/lr_x4
`,
    )
    .action(async (options: PrepareOptions) => (await import('../actions/prepare.js')).prepare(io, options));
}

function seedOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  return fail(`--seed ${text}: this is not a whole number`);
}
