// `src fmt` on the command line; actions/fmt.ts does it.

import { Command } from 'commander';
import type { FmtOptions } from '../actions/fmt.js';
import type { Io } from '../io.js';

export function fmtCommand(io: Io): Command {
  return new Command('fmt')
    .description('bring .sr files into the one style')
    .argument(
      '<files...>',
      'files, or folders of them, to rewrite; - formats standard input to standard output',
    )
    .option('--check', 'write nothing; fail when a file is not in the style')
    .option('--stdout', 'print the result instead of writing it')
    .action(async (paths: readonly string[], options: FmtOptions) =>
      (await import('../actions/fmt.js')).formatFiles(io, paths, options),
    );
}
