// `src fetch` on the command line; actions/fetch.ts does it.

import { Command } from 'commander';
import type { FetchOptions } from '../actions/fetch.js';
import type { Io } from '../io.js';
import { VGG19_URL } from '../published.js';

export function fetchCommand(io: Io): Command {
  return new Command('fetch')
    .description('download weights that perceptual losses need, once, into the cache')
    .argument('<name>', 'vgg19: the features of VGG19, as torchvision publishes them')
    .option('--url <address>', 'another place to download from', VGG19_URL)
    .option('--sha256 <hex>', 'the SHA-256 of the download; by default the digits that its name ends with')
    .addHelpText(
      'after',
      `
An interrupted download is taken up where it stopped. Only the features are kept, under the cache folder.

Example:
  src fetch vgg19
`,
    )
    .action(async (name: string, options: FetchOptions) =>
      (await import('../actions/fetch.js')).fetchWeights(io, name, options),
    );
}
