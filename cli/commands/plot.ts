// `src plot`: the curves of trainings as a drawing.

import { extname, join } from 'node:path';
import { Command } from 'commander';
import { fail } from '../../diagnostics.js';
import { drawCurves, type Run } from '../../train/curves.js';
import { parseMetrics } from '../../train/metrics.js';
import { prepareOutput, readText, statOf, writeAtomic } from '../files.js';
import { rasterize } from '../images/sharp.js';
import { type Io, write } from '../io.js';

interface Options {
  readonly output?: string;
}

export function plotCommand(io: Io): Command {
  return new Command('plot')
    .description('draw the curves of a training: losses, validation, learning rate')
    .argument('<runs...>', 'folders that `src train` wrote to; several are compared')
    .option(
      '-o, --output <file>',
      'a .svg, or a .png (which needs sharp); by default curves.svg in the folder',
    )
    .addHelpText(
      'after',
      `
Examples:
  src plot runs/x
  src plot runs/mse runs/vgg22 runs/vgg54 -o compare.png
`,
    )
    .action(async (folders: string[], { output = join(folders[0]!, 'curves.svg') }: Options) => {
      const type = extname(output).toLowerCase();
      if (type !== '.svg' && type !== '.png') {
        fail(`${output}: curves are drawn as SVG or PNG`, { help: 'name it .svg or .png' });
      }
      const svg = drawCurves(await Promise.all(folders.map(readRun)));
      await prepareOutput(output);
      const bytes = type === '.svg' ? new TextEncoder().encode(svg) : await rasterize(output, svg);
      await writeAtomic(output, bytes);
      await write(io.stderr, `${output}\n`);
    });
}

async function readRun(folder: string): Promise<Run> {
  const path = join(folder, 'metrics.jsonl');
  if (!(await statOf(path))) {
    fail(`${folder}: this is no folder of a training`, {
      notes: ['it has no metrics.jsonl'],
      help: 'pass what was --out of `src train`',
    });
  }
  const { text } = await readText(path);
  return { name: folder, lines: text.split('\n').flatMap((line) => parseMetrics(line) ?? []) };
}
