// `src run` on the command line; actions/run.ts does it.

import { Command, Option } from 'commander';
import type { RunOptions } from '../actions/run.js';
import type { Io } from '../io.js';
import {
  deviceOption,
  networkOptions,
  numberWithin,
  precisionOption,
  profileOption,
  wholeNumber,
} from '../options.js';

export function runCommand(io: Io): Command {
  const command = new Command('run').description(
    'enlarge an image, or a folder of images, with a trained network',
  );
  return networkOptions(command)
    .option('-i, --input <path>', 'an image, a folder (with all below it), or - for standard input')
    .option(
      '-o, --output <path>',
      'a file, a folder, or -; by default NAME_x4.png, or NAME_x4/, beside the input',
    )
    .addOption(
      new Option(
        '--format <format>',
        "what to write; by default what the output's name says, else as the input",
      ).choices(['png', 'jpeg', 'webp', 'tiff', 'avif']),
    )
    .option(
      '--scale <number>',
      "size of the result over the input's; by default the network's",
      numberWithin('--scale', 0.01, 64),
    )
    .option('--overwrite', 'make images of a folder again whose results are there already')
    .addOption(precisionOption('of the computation; f16 is faster and takes half the memory').default('f32'))
    .option(
      '--tile <pixels>',
      'compute in tiles of this side: less memory, the same pixels',
      tileSide,
      'auto',
    )
    .addOption(deviceOption())
    .addOption(profileOption('the first image', 'NAME.trace.json beside its result'))
    .option('--json', 'report as JSON lines on standard output')
    .option('-q, --quiet', 'report nothing but failures')
    .addHelpText(
      'after',
      `
Alpha, 16 bits per sample, gray, colour profile and physical size are kept. A folder can be interrupted and run
again: finished images are skipped.

Examples:
  src run --input photo.jpg
  src run --input photo.jpg --style sharp --alpha 0.5
  src run esrgan --weights RealESRGAN_x4plus.pth --input photo.jpg
  src run esrgan --weights RealESRGAN_x4plus.pth --input photos/ --output large/ --format png
  src run esrgan --weights RealESRNet_x4plus.pth --blend RealESRGAN_x4plus.pth --alpha 0.8 --input photo.jpg
  src run mine.sr --set blocks=6 --weights mine.safetensors --input - --output - < small.png > large.png
  src run esrgan --weights RealESRGAN_x4plus.pth --input photo.jpg --profile
`,
    )
    .action(async (network: string, options: RunOptions, command: Command) =>
      (await import('../actions/run.js')).run(io, network, options, command.args.length > 0),
    );
}

function tileSide(text: string): number | 'auto' {
  return text === 'auto' ? text : wholeNumber('--tile', text);
}
