// `src export` on the command line; actions/export.ts does it.

import { Command } from 'commander';
import type { ExportOptions } from '../actions/export.js';
import type { Io } from '../io.js';
import { networkOptions, precisionOption } from '../options.js';

export function exportCommand(io: Io): Command {
  return networkOptions(new Command('export').description('write a trained network as an ONNX file'))
    .requiredOption('-o, --output <file>', 'the .onnx file to write')
    .addOption(precisionOption('of weights and activations').default('f32'))
    .addHelpText(
      'after',
      `
The file (operator set 17) takes RGB from 0 to 1 as \`input\`, f32 [batch, 3, height, width] of any size, and gives
\`output\` in the same way, whatever its precision. ONNX Runtime, chaiNNer and others run it.

Examples:
  src export -o photo.onnx
  src export esrgan --weights RealESRGAN_x4plus.pth -o x4plus.onnx --precision f16
  src export mine.sr --weights runs/mine -o mine.onnx
`,
    )
    .action(async (path: string, options: ExportOptions) =>
      (await import('../actions/export.js')).exportFile(io, path, options),
    );
}
