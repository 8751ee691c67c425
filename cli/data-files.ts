// A folder of training pictures: every image in it and below, its size, and its reduced version where those are given.
// All that can be wrong with them is said here, before anything is trained.

import { readdir, realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fail, UserError } from '../diagnostics.js';
import { Problems } from '../dsl/problems.js';
import { formatOf } from '../formats/image-format.js';
import { checkPair, listNames, type SourceImage } from '../train/data/images.js';
import { failIo, readBytes, statOf, withoutExtension } from './files.js';
import { imageSize } from './images/size.js';

/** Its name is its path. */
export interface DataFile extends SourceImage {
  /** The path of its reduced version. */
  readonly reduced?: string;
}

export interface DataFiles {
  readonly files: readonly DataFile[];
  /** What is worth a line to the user. */
  readonly notes: readonly string[];
}

/** With `reduced`, a folder, every image needs its version of 1/scale there. */
export async function listData(folder: string, scale: number, reduced?: string): Promise<DataFiles> {
  const paths = await listImages(folder);
  if (reduced === undefined) return { files: await measure(paths), notes: [] };
  const pairing = pair(folder, paths, reduced, await listImages(reduced), scale);
  const files = await measure(paths);
  const sizes = new Map((await measure([...pairing.pairs.values()])).map((image) => [image.name, image]));
  const problems = new Problems();
  const pairs = files.map((file) => {
    const small = sizes.get(pairing.pairs.get(file.name)!)!;
    problems.attempt(() => checkPair(file, small, scale));
    return { ...file, reduced: small.name };
  });
  problems.throwIfAny();
  return { files: pairs, notes: pairing.notes };
}

/** The paths of all images in a folder and below, hidden ones left out; never none. */
export async function listImages(folder: string): Promise<string[]> {
  const found = await statOf(folder);
  if (found && !found.isDirectory()) {
    fail(`${folder}: this is a file, not a folder of images`, { help: 'pass the folder that it is in' });
  }
  const files = await walk(folder, []);
  const images = files.filter((file) => formatOf(file) || /\.gif$/i.test(file));
  if (images.length > 0) return images;
  return fail(`${folder}: no images in this folder`, {
    notes: [files.length > 0 ? `other files: ${listNames(files)}` : 'it is empty'],
    help: 'images end in .png, .jpg, .webp, .tif, .avif or .gif',
  });
}

/** Links to folders are followed, as data sets often lie elsewhere. `above` are the real paths of the folders around. */
async function walk(folder: string, above: readonly string[]): Promise<string[]> {
  const reading = (error: unknown) => failIo(folder, 'read', error);
  const real = await realpath(folder).catch(reading);
  if (above.includes(real)) {
    fail(`${folder}: this link leads back to ${real}, which it is in`, { help: 'remove the link' });
  }
  const entries = await readdir(folder, { withFileTypes: true }).catch(reading);
  const files: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    const target = entry.isSymbolicLink() ? await statOf(path) : entry;
    if (!target) fail(`${path}: this link leads nowhere`, { help: 'remove the link, or restore its file' });
    if (target.isDirectory()) files.push(...(await walk(path, [...above, real])));
    else if (target.isFile()) files.push(path);
  }
  return files;
}

/** Whole files are read and their containers checked: a damaged file is better found now than after a day. */
export async function measure(paths: readonly string[]): Promise<SourceImage[]> {
  const problems = new Problems();
  const images: SourceImage[] = [];
  for (const name of paths) {
    try {
      images.push({ name, ...(await imageSize(name, await readBytes(name))) });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      for (const problem of error.diagnostics) problems.add(problem);
    }
  }
  problems.throwIfAny();
  return images;
}

interface Pairing {
  /** From originals to reduced images. */
  readonly pairs: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

/** By their names, with or without the scale: DIV2K's 0801x4.png is made of 0801.png. */
function pair(
  folder: string,
  originals: readonly string[],
  reducedFolder: string,
  reduced: readonly string[],
  scale: number,
): Pairing {
  const key = (base: string, path: string) => withoutExtension(relative(base, path));
  const byKey = new Map(reduced.map((path) => [key(reducedFolder, path), path]));
  const pairs = new Map<string, string>();
  for (const path of originals) {
    const own = key(folder, path);
    const names = [own, `${own}x${scale}`, `${own}_x${scale}`];
    const found = names.flatMap((name) => byKey.get(name) ?? []);
    if (found[0] !== undefined) pairs.set(path, found[0]);
  }
  const alone = originals.filter((path) => !pairs.has(path));
  if (alone.length > 0) {
    const [own, ...suffixed] = ['', `x${scale}`, `_x${scale}`].map(
      (suffix) => key(folder, alone[0]!) + suffix,
    );
    fail(`${reducedFolder}: ${alone.length} of ${originals.length} images have no reduced version here`, {
      notes: [
        `without one: ${listNames(alone)}`,
        `that of ${alone[0]} would be called ${own}, ${suffixed.join(' or ')}`,
      ],
      help: 'add them, or leave out --data-lr to have them made by the recipe',
    });
  }
  const used = new Set(pairs.values());
  const unused = reduced.filter((path) => !used.has(path));
  const notes = unused.length > 0 ? [`no original for ${listNames(unused)}: left out`] : [];
  return { pairs, notes };
}
