// `src tune` on the command line; actions/tune.ts does it.

import { Command } from 'commander';
import { fail } from '../../diagnostics.js';
import type { TuneOptions } from '../actions/tune.js';
import type { Io } from '../io.js';
import { gpuOption, numberWithin, precisionOption, setOption, sizeOption, wholeNumber } from '../options.js';
import { DEFAULT_NETWORK } from '../package.js';

export function tuneCommand(io: Io): Command {
  return new Command('tune')
    .description(
      "measure which kernels run a network fastest on this machine's device, and use them from now on",
    )
    .argument(
      '[file.sr]',
      'your own file, or esrgan, compact, … that come with this program',
      DEFAULT_NETWORK,
    )
    .addOption(setOption())
    .addOption(sizeOption('of the input'))
    .option(
      '--train [stage]',
      'measure training steps too: of one stage, or of all that the file has',
      stageName,
    )
    .option('--batch <number>', "of training, in place of the file's", (text) => wholeNumber('--batch', text))
    .option('--patch <pixels>', "of training, in place of the file's", (text) => wholeNumber('--patch', text))
    .addOption(precisionOption('of activations and weights').default('f32'))
    .addOption(gpuOption())
    .option(
      '--budget <seconds>',
      'for all of it, about; every kernel is compiled and run a few times however long that takes',
      numberWithin('--budget', 1, 86_400),
      60,
    )
    .option('--forget', 'drop what was measured on this device instead')
    .option('--json', 'the measurements as JSON on standard output')
    .addHelpText(
      'after',
      `
Choices hold for convolutions, whatever network they are in: another network gains from them where it has the same.
They hold for this device, its driver and this version; \`src doctor\` says whether there are any. A training keeps the
kernels that it began with.

Examples:
  src tune esrgan
  src tune esrgan --precision f16 --size 512x512
  src tune mine.sr --train
  src tune --forget
`,
    )
    .action(async (path: string, options: TuneOptions) =>
      (await import('../actions/tune.js')).tuneDevice(io, path, options),
    );
}

/** What follows `--train` is taken for its stage, a file too. */
function stageName(text: string): string {
  if (!text.endsWith('.sr')) return text;
  return fail(`--train ${text}: this is a file, where a stage is expected`, {
    help: `put --train after it: src tune ${text} --train`,
  });
}
