// From `--input` and `--output` to the images to make, with everything checked that can be before the work: names,
// formats, folders that can be written, results that are there already.

import { basename, extname, join, relative, resolve, sep } from 'node:path';
import { fail } from '../diagnostics.js';
import { formatOf, type ImageFormat, outputFormat, sniff } from '../formats/image-format.js';
import { prepareOutput, readBytes, statOf, walk, withoutExtension, writeAtomic } from './files.js';
import { type Io, readStdin, write } from './io.js';

export interface Job {
  readonly input: string;
  readonly output: string;
  readonly format: ImageFormat;
  read(): Promise<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
}

export interface Batch {
  readonly jobs: readonly Job[];
  /** Images whose result is there already, and files that are no images. */
  readonly skipped: number;
  readonly ignored: number;
}

export interface JobOptions {
  /** A file, a folder, or `-`. */
  readonly input: string;
  readonly output?: string;
  readonly format?: ImageFormat;
  /** Makes images of a folder again that are there already. */
  readonly overwrite?: boolean;
  /** For names: `cat_x4.png`. */
  readonly scale: number;
}

const EXTENSION: Readonly<Record<ImageFormat, string>> = {
  png: '.png',
  jpeg: '.jpg',
  webp: '.webp',
  tiff: '.tif',
  avif: '.avif',
};

export async function listJobs(io: Io, options: JobOptions): Promise<Batch> {
  const found = await statOf(options.input);
  if (found?.isDirectory()) return folderJobs(options);
  return { jobs: [await singleJob(io, options)], skipped: 0, ignored: 0 };
}

/** The input is read at once: what is wrong with it is told before anything else is done. */
async function singleJob(io: Io, { input, output, format, scale }: JobOptions): Promise<Job> {
  const piped = input === '-';
  const bytes = piped ? await readStdin(io, 'an image') : await readBytes(input);
  const own = formatOf(input) ?? formatOfContent(bytes);
  const extension = format || !formatOf(input) ? EXTENSION[format ?? own] : extname(input);
  const job = { input, read: async () => bytes };

  const to = output ?? (piped ? '-' : `${withoutExtension(input)}_x${scale}${extension}`);
  if (to === '-') return { ...job, output: to, format: format ?? own, write: stdoutWriter(io) };
  if (/[/\\]$/.test(to) || (await statOf(to))?.isDirectory()) {
    if (piped) fail(`${to}: cannot be written: it is a folder`, { help: 'name a file for what is piped in' });
    return fileJob(job, join(to, basename(withoutExtension(input)) + extension), format);
  }
  return fileJob(job, to, format);
}

async function fileJob(
  job: Pick<Job, 'input' | 'read'>,
  output: string,
  wanted: ImageFormat | undefined,
): Promise<Job> {
  const format = outputFormat(output);
  if (wanted && wanted !== format) {
    fail(`${output}: the name says ${format}, --format says ${wanted}`, { help: 'leave out --format' });
  }
  if (await isSameFile(job.input, output)) {
    fail(`${output}: the result would replace the input`, { help: 'choose another --output' });
  }
  await prepareOutput(output);
  return { ...job, output, format, write: (bytes) => writeAtomic(output, bytes) };
}

function stdoutWriter({ stdout }: Io): Job['write'] {
  if (stdout.isTTY) {
    fail('-: standard output is a terminal, which cannot show an image file', {
      help: 'redirect it, or name a file: --output large.png',
    });
  }
  return (bytes) => write(stdout, bytes);
}

async function folderJobs({ input, output, format, overwrite, scale }: JobOptions): Promise<Batch> {
  const to = output ?? relative('', `${resolve(input)}_x${scale}`);
  if (to === '-') fail('-: a folder of images cannot go to standard output', { help: 'name a folder' });
  const found = await statOf(to);
  if (found ? !found.isDirectory() : formatOf(to)) {
    fail(`${to}: the output of a folder of images must be a folder`, { help: 'choose another --output' });
  }
  // Results inside the input folder are no inputs.
  const results = relative(resolve(input), resolve(to)) + sep;
  const files = (await walk(input)).filter((file) => !file.startsWith(results));
  const images = files.filter((file) => formatOf(file) || /\.gif$/i.test(file));
  if (images.length === 0) {
    fail(`${input}: no images in this folder`, {
      notes: [`${files.length} other files`],
      help: 'images end in .png, .jpg, .webp, .tif, .avif or .gif',
    });
  }
  const jobs: Job[] = [];
  for (const [target, file] of nameResults(images, format)) {
    const [path, result] = [join(input, file), join(to, target)];
    // An input is no result of itself.
    if (!overwrite && !(await isSameFile(path, result)) && (await isDone(path, result))) continue;
    jobs.push(await fileJob({ input: path, read: () => readBytes(path) }, result, format));
  }
  return { jobs, skipped: images.length - jobs.length, ignored: files.length - images.length };
}

/** The name of each image's result, and the image. */
function nameResults(images: readonly string[], format: ImageFormat | undefined): Map<string, string> {
  const named = new Map<string, string>();
  for (const file of images) {
    const extension = format || !formatOf(file) ? EXTENSION[format ?? 'png'] : extname(file);
    const result = withoutExtension(file) + extension;
    const twin = named.get(result);
    if (twin) {
      fail(`${result}: both ${twin} and ${file} would be written there`, { help: 'rename one of them' });
    }
    named.set(result, file);
  }
  return named;
}

/** Under one name or several: links lead to the same file. */
async function isSameFile(input: string, output: string): Promise<boolean> {
  if (resolve(input) === resolve(output)) return true;
  const [from, to] = [await statOf(input), await statOf(output)];
  return Boolean(from?.ino && to && from.ino === to.ino && from.dev === to.dev);
}

/** Results appear whole or not at all, so one that is there is complete, and right if it is not older than its input. */
async function isDone(input: string, output: string): Promise<boolean> {
  const [from, to] = [await statOf(input), await statOf(output)];
  return Boolean(from && to?.isFile() && to.mtimeMs >= from.mtimeMs);
}

function formatOfContent(bytes: Uint8Array): ImageFormat {
  const kinds = {
    PNG: 'png',
    JPEG: 'jpeg',
    WebP: 'webp',
    TIFF: 'tiff',
    AVIF: 'avif',
    HEIC: 'png',
    GIF: 'png',
  } as const;
  return kinds[sniff(bytes) ?? 'PNG'];
}
