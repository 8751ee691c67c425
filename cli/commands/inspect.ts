// `src inspect` on the command line; actions/inspect.ts does it.

import { Command } from 'commander';
import type { InspectOptions } from '../actions/inspect.js';
import type { Io } from '../io.js';

export function inspectCommand(io: Io): Command {
  return new Command('inspect')
    .description('say what a weight file holds: format, network, size, range of values')
    .argument('<weights>', '.pth, .safetensors, ncnn .param or .bin, or TensorFlow.js model.json')
    .option('--tensors', 'list every tensor')
    .option('--json', 'everything as JSON')
    .action(async (path: string, options: InspectOptions) =>
      (await import('../actions/inspect.js')).inspect(io, path, options),
    );
}
