// `src check` on the command line; actions/check.ts does it.

import { Command } from 'commander';
import type { CheckOptions } from '../actions/check.js';
import type { Io } from '../io.js';
import { gpuOption, precisionOption, setOption } from '../options.js';

export function checkCommand(io: Io): Command {
  return new Command('check')
    .description(
      "check on this machine's device that every kernel of a network computes what the CPU reference does",
    )
    .argument('<file.sr>', 'your own file, or esrgan, compact, … that come with this program')
    .addOption(setOption())
    .option(
      '--gradients',
      'check the gradients of its trainings instead; large networks take minutes: --set blocks=1',
    )
    .option('--network <name>', 'the network to check; by default the generator')
    .addOption(precisionOption('of activations and weights').default('f32'))
    .addOption(gpuOption())
    .option('--json', 'report as JSON lines on standard output')
    .action(async (file: string, options: CheckOptions) =>
      (await import('../actions/check.js')).check(io, file, options),
    );
}
