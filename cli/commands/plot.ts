// `src plot` on the command line; actions/plot.ts does it.

import { Command } from 'commander';
import type { PlotOptions } from '../actions/plot.js';
import type { Io } from '../io.js';

export function plotCommand(io: Io): Command {
  return new Command('plot')
    .description('draw the curves of a training: losses, validation, learning rate')
    .argument('<runs...>', 'folders that `src train` wrote to; several are compared')
    .option(
      '-o, --output <file>',
      'a .svg, or a .png (which needs sharp); by default curves.svg in the folder',
    )
    .addHelpText(
      'after',
      `
Examples:
  src plot runs/x
  src plot runs/mse runs/vgg22 runs/vgg54 -o compare.png
`,
    )
    .action(async (folders: string[], options: PlotOptions) =>
      (await import('../actions/plot.js')).plot(io, folders, options),
    );
}
