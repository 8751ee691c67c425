// `src prepare`: a folder of originals becomes a data set of originals and their reduced versions, cut up if wanted.

import { join, relative, resolve, sep } from 'node:path';
import { fail } from '../../diagnostics.js';
import { realesrgan } from '../../dsl/degradations.js';
import { listNames } from '../../train/data/images.js';
import { listImages, measure } from '../data-files.js';
import { type PreparedPart, type PrepareJob, type PrepareSettings, partsOf } from '../data-prepare.js';
import { prepareAll } from '../data-prepare-all.js';
import { prepareOutput, readText, statOf, withoutExtension, writeAtomic } from '../files.js';
import { printItems } from '../human.js';
import { type Io, write } from '../io.js';
import { reporter } from '../progress.js';

export interface PrepareOptions {
  readonly input: string;
  readonly output: string;
  readonly scale: number;
  readonly subimages?: number;
  readonly step?: number;
  readonly multiscale?: boolean;
  readonly degrade: 'bicubic' | 'realesrgan';
  readonly seed: number;
  readonly overwrite?: true;
  readonly json?: true;
  readonly quiet?: true;
}

/** Where the originals, their reduced versions and the list of the former go. */
function placesIn(output: string, scale: number) {
  return {
    hr: join(output, 'hr'),
    lr: join(output, `lr_x${scale}`),
    list: join(output, 'meta_info.txt'),
    settings: join(output, 'prepare.json'),
  };
}

type Places = ReturnType<typeof placesIn>;

export async function prepare(io: Io, options: PrepareOptions): Promise<void> {
  const { input, output, scale, quiet = false, json = false, overwrite = false } = options;
  const settings = settingsOf(options);
  const places = placesIn(output, scale);
  const { jobs, small } = await listJobs(input, output, settings);
  if (small.length > 0 && !quiet) {
    await write(io.stderr, `${printItems(small.length, 'image')} left out, too small: ${listNames(small)}\n`);
  }
  await claim(places, output, settings);
  const due: PrepareJob[] = [];
  for (const job of jobs) if (overwrite || !(await isDone(job, places))) due.push(job);
  const report = reporter(io, { json, quiet });
  const skipped = jobs.length - due.length;
  report({ event: 'batch', images: due.length, skipped, ignored: 0 });
  const save = async ({ name, hr, lr }: PreparedPart) => {
    await writeNew(join(places.hr, name), hr);
    await writeNew(join(places.lr, name), lr);
  };
  await prepareAll(due, { settings, save, skipped, report, signal: io.signal });
  // BasicSR's format.
  const lines = jobs.flatMap(({ parts }) =>
    parts.map(({ name, area }) => `${name} (${area.height},${area.width},3)\n`),
  );
  await writeAtomic(places.list, new TextEncoder().encode(lines.join('')));
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  await prepareOutput(path);
  await writeAtomic(path, bytes);
}

function settingsOf({
  scale,
  subimages,
  step,
  multiscale = false,
  degrade,
  seed,
}: PrepareOptions): PrepareSettings {
  const common = {
    degrade: degrade === 'realesrgan' ? realesrgan(scale) : { kind: 'bicubic' as const, factor: scale },
    seed,
    multiscale,
  };
  if (subimages === undefined) {
    if (step !== undefined) fail('--step belongs to --subimages', { help: 'add --subimages 480' });
    return common;
  }
  const grid = { side: subimages, step: step ?? Math.max(1, Math.floor(subimages / 2 / scale)) * scale };
  for (const [option, value] of [
    ['--subimages', grid.side],
    ['--step', grid.step],
  ] as const) {
    if (value % scale === 0) continue;
    fail(`${option} ${value}: this is not a multiple of --scale ${scale}`, {
      help: `write ${option} ${Math.ceil(value / scale) * scale}, so that the reduced versions fit`,
    });
  }
  return { ...common, grid };
}

/** The originals, and those that nothing can be made of. */
async function listJobs(input: string, output: string, settings: PrepareSettings) {
  // Results inside the input folder are no inputs.
  const results = resolve(output) + sep;
  const paths = (await listImages(input)).filter((path) => !resolve(path).startsWith(results));
  if (paths.length === 0) {
    fail(`${output}: the originals are all in the output folder`, { help: 'choose another --output' });
  }
  const stems = new Map<string, string>();
  const jobs: PrepareJob[] = [];
  const small: string[] = [];
  for (const image of await measure(paths)) {
    const stem = withoutExtension(relative(input, image.name));
    const twin = stems.get(stem);
    if (twin) {
      fail(`${stem}.png: both ${twin} and ${image.name} would get this name`, {
        help: 'rename one of them',
      });
    }
    stems.set(stem, image.name);
    const parts = partsOf(stem, image, settings);
    if (parts.length > 0) jobs.push({ input: image.name, parts });
    else small.push(`${image.name} (${image.width}x${image.height})`);
  }
  if (jobs.length > 0) return { jobs, small };
  const least = settings.grid?.side ?? settings.degrade.factor;
  return fail(`${input}: no image is as large as ${least}x${least} pixels`, {
    notes: [listNames(small)],
    help: settings.grid ? 'choose smaller --subimages' : 'choose larger images',
  });
}

/** A data set keeps the settings that it was begun with: made in two ways, it would be a mixture. */
async function claim(places: Places, output: string, settings: PrepareSettings): Promise<void> {
  const text = `${JSON.stringify(settings, undefined, 2)}\n`;
  if (await statOf(places.settings)) {
    if ((await readText(places.settings)).text === text) return;
    fail(`${output}: this data set was made with other settings`, {
      notes: [`they are in ${places.settings}`],
      help: 'repeat the options it was made with, or choose another --output',
    });
  }
  for (const folder of [places.hr, places.lr]) {
    if (!(await statOf(folder))) continue;
    fail(`${folder}: this folder is there already, made by something else`, {
      help: 'choose another --output',
    });
  }
  await writeNew(places.settings, new TextEncoder().encode(text));
}

/** Results appear whole or not at all; they are right if they are not older than the original. */
async function isDone({ input, parts }: PrepareJob, { hr, lr }: Places): Promise<boolean> {
  const original = await statOf(input);
  for (const { name } of parts) {
    for (const folder of [hr, lr]) {
      const result = await statOf(join(folder, name));
      if (!original || !result || result.mtimeMs < original.mtimeMs) return false;
    }
  }
  return true;
}
