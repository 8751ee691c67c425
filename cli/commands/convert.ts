// `src convert`: any readable weight file to safetensors.

import { Command } from 'commander';
import { orderNote } from '../../formats/keys.js';
import { withPrecision } from '../../formats/safetensors.js';
import { compile } from '../../index.js';
import type { Io } from '../io.js';
import { precisionOption, type Settings, setOption } from '../options.js';
import { readGraph } from '../package.js';
import { loadWeights, prepareWeights, saveWeights, underGraphNames } from '../weights.js';

interface Options {
  readonly output: string;
  readonly precision?: 'f32' | 'f16';
  readonly network?: string;
  readonly set: Settings;
}

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
    .action(async (path: string, { output, precision, network, set }: Options) => {
      await prepareWeights(output);
      const file = await loadWeights(path);
      const named = network ? underGraphNames(compile(await readGraph(network), { set }), file) : file;
      const tensors = precision ? withPrecision(named, precision) : named.tensors;
      await saveWeights(io, output, tensors, { ...file.metadata, ...(!network && orderNote(file)) });
    });
}
