// `src eval`: how well a network enlarges a folder of images, beside bicubic enlargement.

import { join, resolve } from 'node:path';
import { fail } from '../../diagnostics.js';
import type { Image, Planes } from '../../formats/image.js';
import { compile } from '../../index.js';
import { chooseDevice } from '../../runtime/node-choice.js';
import { evaluate, type Result, type Scores, type TestImage } from '../../train/validation.js';
import { prepareOutput, writeAtomic } from '../files.js';
import { printable } from '../human.js';
import { encodePng } from '../images/png.js';
import { type Io, write } from '../io.js';
import { openOn, precisionOn, summaryOn } from '../network-device.js';
import { readGraph } from '../package.js';
import { chooseWeights, type NetworkOptions, trainedWeights } from '../run-weights.js';
import { statusLine } from '../status-line.js';
import { listTestFiles, readTestImage, type TestFile } from '../test-images.js';
import { scaleOf } from './run.js';

export interface EvalOptions extends NetworkOptions {
  readonly data?: string;
  readonly dataLr?: string;
  readonly precision: 'f32' | 'f16';
  readonly device: string;
  readonly save?: string;
  readonly json?: true;
}

export async function measure(io: Io, path: string, options: EvalOptions): Promise<void> {
  const { data, dataLr, set, precision, json } = options;
  if (data === undefined) fail('which images? --data is missing', { help: 'add --data FOLDER' });
  const source = await readGraph(path);
  const choice = chooseWeights(source, options);
  const compiled = compile(source, { set });
  const scale = scaleOf(compiled, source.name);
  const weights = await trainedWeights(compiled, choice);
  const files = await listTestFiles(data, scale, dataLr);
  const resultOf = options.save === undefined ? undefined : resultsIn(options.save, files);

  const device = await chooseDevice({ device: options.device });
  const line = statusLine(io.stderr);
  try {
    const network = await openOn(device, compiled, { weights, precision });
    const table = json
      ? undefined
      : scoreTable(compiled.network.name, [...files.map(({ name }) => name), MEAN]);
    const upscale = async (lr: Planes): Promise<Planes> => {
      if (done === 0) await write(io.stderr, `${summaryOn(device, precision)}\n`);
      const onProgress = (fraction: number) =>
        line.show(() => `image ${done + 1} of ${files.length}: ${Math.floor(100 * fraction)}%`);
      return { channels: lr.channels, ...(await network.run(lr, { onProgress, signal: io.signal })) };
    };
    let done = 0;
    const finish = async ({ name, bicubic }: TestImage, { image, scores }: Result) => {
      line.end();
      if (resultOf) await save(resultOf(name), image);
      if (table && done === 0) await write(io.stdout, table.head);
      if (table) await write(io.stdout, table.row(name, scores, bicubic.scores));
      done++;
    };
    const { rows, mean } = await evaluate(readAll(files, scale), upscale, finish);
    if (table) return await write(io.stdout, table.row(MEAN, mean.ours, mean.bicubic));
    const facts = {
      network: compiled.network.name,
      weights: weights.name,
      scale,
      device: device.description.name,
      precision: precisionOn(device, precision),
    };
    const images = rows.map(({ name, ours, bicubic }) => ({ name, ...ours, bicubic }));
    const result = { ...facts, images, mean: { ...mean.ours, bicubic: mean.bicubic } };
    await write(io.stdout, `${JSON.stringify(result)}\n`);
  } finally {
    line.end();
    await device.close();
  }
}

async function* readAll(files: readonly TestFile[], scale: number): AsyncGenerator<TestImage> {
  for (const file of files) yield await readTestImage(file, scale);
}

/** PNGs, whatever the originals are: under their whole names, so that a.jpg and a.png do not meet. */
function resultsIn(folder: string, files: readonly TestFile[]): (name: string) => string {
  const resultOf = (name: string) => join(folder, /\.png$/i.test(name) ? name : `${name}.png`);
  const replaced = files.find(({ name, hr }) => resolve(resultOf(name)) === resolve(hr));
  if (replaced) fail(`--save ${folder}: results would replace originals`, { help: 'choose another folder' });
  return resultOf;
}

async function save(path: string, image: Image): Promise<void> {
  await prepareOutput(path);
  await writeAtomic(path, encodePng(image));
}

const MEAN = 'mean';

const COLUMNS: readonly (readonly [title: string, key: keyof Scores, digits: number])[] = [
  ['PSNR-Y', 'psnr', 2],
  ['SSIM-Y', 'ssim', 4],
  ['PSNR-RGB', 'psnrRgb', 2],
];
const CELL = 10;

/** Lines that are printed as the images are done. */
function scoreTable(network: string, names: readonly string[]) {
  const width = Math.max(...names.map((name) => name.length));
  const cells = (values: readonly string[]) => values.map((value) => value.padStart(CELL)).join('');
  const line = (name: string, values: string) => `${printable(`${name.padEnd(width)}${values}`).trimEnd()}\n`;
  const group = (title: string) =>
    `  ${title.slice(0, COLUMNS.length * CELL - 2)}`.padStart(COLUMNS.length * CELL);
  const titles = COLUMNS.map(([title]) => title);
  const print = (scores: Scores) => cells(COLUMNS.map(([, key, digits]) => scores[key].toFixed(digits)));
  return {
    head: line('', group('bicubic') + group(network)) + line('', cells([...titles, ...titles, 'gain'])),
    row(name: string, ours: Scores, bicubic: Scores): string {
      const gain = ours.psnr - bicubic.psnr;
      return line(name, print(bicubic) + print(ours) + cells([`${gain < 0 ? '' : '+'}${gain.toFixed(2)}`]));
    },
  };
}
