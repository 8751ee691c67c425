// `src blend`: network interpolation between two weight files.

import { Command } from 'commander';
import { blend } from '../../formats/blend.js';
import { orderNote } from '../../formats/keys.js';
import { withPrecision } from '../../formats/safetensors.js';
import type { Io } from '../io.js';
import { numberWithin, precisionOption } from '../options.js';
import { loadTrained, prepareWeights, saveWeights } from '../weights.js';

interface Options {
  readonly alpha: number;
  readonly output: string;
  readonly precision: 'f32' | 'f16';
}

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
    .action(async (a: string, b: string, { alpha, output, precision }: Options) => {
      await prepareWeights(output);
      const mixed = blend(await loadTrained(a), await loadTrained(b), alpha);
      await saveWeights(io, output, withPrecision(mixed, precision), {
        ...orderNote(mixed),
        blend: `alpha ${alpha}`,
      });
    });
}
