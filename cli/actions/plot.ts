// `src plot`: the curves of trainings as a drawing.

import { extname, join } from 'node:path';
import { fail } from '../../diagnostics.js';
import { drawCurves, type Run } from '../../train/curves.js';
import { parseMetrics } from '../../train/metrics.js';
import { prepareOutput, readText, statOf, writeAtomic } from '../files.js';
import { rasterize } from '../images/sharp.js';
import { type Io, write } from '../io.js';

export interface PlotOptions {
  readonly output?: string;
}

export async function plot(
  io: Io,
  folders: readonly string[],
  { output = join(folders[0]!, 'curves.svg') }: PlotOptions,
): Promise<void> {
  const type = extname(output).toLowerCase();
  if (type !== '.svg' && type !== '.png') {
    fail(`${output}: curves are drawn as SVG or PNG`, { help: 'name it .svg or .png' });
  }
  const svg = drawCurves(await Promise.all(folders.map(readRun)));
  await prepareOutput(output);
  const bytes = type === '.svg' ? new TextEncoder().encode(svg) : await rasterize(output, svg);
  await writeAtomic(output, bytes);
  await write(io.stderr, `${output}\n`);
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
