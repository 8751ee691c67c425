// `src eval` on the command line; actions/eval.ts does it.

import { Command } from 'commander';
import type { EvalOptions } from '../actions/eval.js';
import type { Io } from '../io.js';
import { deviceOption, networkOptions, precisionOption } from '../options.js';

export function evalCommand(io: Io): Command {
  const command = new Command('eval').description(
    'measure a network on images: PSNR and SSIM, beside bicubic enlargement',
  );
  return networkOptions(command)
    .option('--data <path>', 'originals: a folder (with all below it), or an image')
    .option('--data-lr <path>', 'their reduced versions; by default made by bicubic reduction')
    .addOption(precisionOption('of the computation; f16 is faster and takes half the memory').default('f32'))
    .addOption(deviceOption())
    .option('--save <folder>', 'write what the network makes of the images there, as PNG')
    .option('--json', 'the table as JSON on standard output')
    .addHelpText(
      'after',
      `
The protocol of the papers: originals are cropped to a multiple of the scale and reduced as MATLAB's imresize does,
results are rounded to 8 bits, and a border as wide as the scale is left out. PSNR and SSIM are those of MATLAB's Y.

Examples:
  src eval --data Set5/
  src eval esrgan --weights RealESRGAN_x4plus.pth --data Set5/
  src eval mine.sr --weights runs/x --data photos/val --save results/
`,
    )
    .action(async (path: string, options: EvalOptions) =>
      (await import('../actions/eval.js')).measure(io, path, options),
    );
}
