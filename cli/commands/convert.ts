// `src convert` on the command line; actions/convert.ts does it.

import { Command } from 'commander';
import type { ConvertOptions } from '../actions/convert.js';
import type { Io } from '../io.js';
import { precisionOption, setOption } from '../options.js';

export function convertCommand(io: Io): Command {
  return new Command('convert')
    .description('convert weights to safetensors')
    .argument('<weights>', '.pth, .safetensors, ncnn .param or .bin, or TensorFlow.js model.json')
    .requiredOption('-o, --output <file>', 'the .safetensors file to write')
    .addOption(precisionOption('how to store the values; by default as they are'))
    .option('--network <file.sr>', "check the weights against this network, and use its parameters' names")
    .addOption(setOption())
    .addHelpText(
      'after',
      `
Examples:
  src convert RealESRGAN_x4plus.pth -o x4plus.safetensors --precision f16
  src convert realesrgan-x4plus.param -o x4plus.safetensors --network esrgan
`,
    )
    .action(async (path: string, options: ConvertOptions) =>
      (await import('../actions/convert.js')).convert(io, path, options),
    );
}
