// `src compile` on the command line; actions/compile.ts does it.

import { Command } from 'commander';
import type { CompileOptions } from '../actions/compile.js';
import type { Io } from '../io.js';
import { precisionOption, setOption, sizeOption } from '../options.js';

export const FORMS = 'ast, graph, fused, plan, wgsl, wgsl:STEP, dot or json';

export function compileCommand(io: Io): Command {
  return new Command('compile')
    .description('check a network and show what it computes and costs; needs no GPU')
    .argument('<file.sr>', 'your own file, or esrgan, compact, … that come with this program')
    .addOption(setOption())
    .option('--network <name>', 'the network to compile; by default the generator')
    .addOption(sizeOption('the input for which memory is planned'))
    .addOption(precisionOption('of activations and weights').default('f32'))
    .option('--emit <form>', `print a form of the network instead: ${FORMS}`)
    .option(
      '-o, --output <file>',
      'write the plan, which the runtime executes without the compiler; with --emit, that form',
    )
    .option('--json', 'the same as --emit json')
    .addHelpText(
      'after',
      `
Examples:
  src compile esrgan
  src compile esrgan --set blocks=6 --size 640x480
  src compile mine.sr --emit wgsl:0
  src compile esrgan -o esrgan.plan.json
`,
    )
    .action(async (file: string, options: CompileOptions) =>
      (await import('../actions/compile.js')).compileFile(io, file, options),
    );
}
