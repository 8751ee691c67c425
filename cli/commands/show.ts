// `src show` on the command line; actions/show.ts does it.

import { Command } from 'commander';
import type { Io } from '../io.js';

export function showCommand(io: Io): Command {
  return new Command('show')
    .description('print a definition of the standard library; without a name, one line for each')
    .argument('[name]', 'a block, network, loss or builtin: rrdb, vgg19, ragan, conv, …')
    .action(async (name?: string) => (await import('../actions/show.js')).show(io, name));
}
