// `src blend` on the command line; actions/blend.ts does it.

import { Command } from 'commander';
import type { BlendOptions } from '../actions/blend.js';
import type { Io } from '../io.js';
import { numberWithin, precisionOption } from '../options.js';

export function blendCommand(io: Io): Command {
  return new Command('blend')
    .description('mix the weights of two trainings of one network: (1 - alpha) * A + alpha * B')
    .argument('<A>', 'weights, for example of the PSNR-oriented training')
    .argument('<B>', 'weights, for example of the GAN training')
    .requiredOption('--alpha <number>', 'the share of B, 0 to 1', numberWithin('--alpha', 0, 1))
    .requiredOption('-o, --output <file>', 'the .safetensors file to write')
    .addOption(precisionOption('how to store the values').default('f32'))
    .addHelpText(
      'after',
      `
Example:
  src blend RealESRNet_x4plus.pth RealESRGAN_x4plus.pth --alpha 0.8 -o x4plus-0.8.safetensors
`,
    )
    .action(async (a: string, b: string, options: BlendOptions) =>
      (await import('../actions/blend.js')).blendFiles(io, a, b, options),
    );
}
