// Images to judge a network by: originals, in a folder or alone, and their reduced versions where there are some.

import { basename, join } from 'node:path';
import { fail } from '../diagnostics.js';
import { formatOf } from '../formats/image-format.js';
import { type TestImage, testImage } from '../train/validation.js';
import { readBytes, statOf, walk, withoutExtension } from './files.js';
import { decodeImage } from './images/decode.js';

export interface TestFile {
  /** Relative to the folder. */
  readonly name: string;
  readonly hr: string;
  /** Made from the original where there is none. */
  readonly lr?: string;
}

/** With `reduced`, every original needs its reduced version there. */
export async function listTestFiles(data: string, scale: number, reduced?: string): Promise<TestFile[]> {
  const originals = await imagesAt('--data', data);
  if (reduced === undefined) return originals.map(([name, hr]) => ({ name, hr }));
  const small = await imagesAt('--data-lr', reduced);
  const byKey = new Map(small.map(([name, path]) => [withoutExtension(name), path]));
  return originals.map(([name, hr]) => {
    const key = withoutExtension(name);
    // DIV2K's 0801x4.png is the reduced version of 0801.png.
    const lr = byKey.get(key) ?? byKey.get(`${key}x${scale}`) ?? byKey.get(`${key}_x${scale}`);
    if (lr !== undefined) return { name, hr, lr };
    return fail(`${hr}: there is no reduced version of this image in ${reduced}`, {
      notes: [`it would be called ${basename(key)}, ${basename(key)}x${scale} or ${basename(key)}_x${scale}`],
      help: 'leave out --data-lr to have it made by bicubic reduction',
    });
  });
}

export async function readTestImage({ name, hr, lr }: TestFile, scale: number): Promise<TestImage> {
  const original = await decodeImage(hr, await readBytes(hr));
  return testImage(
    name,
    original,
    scale,
    lr === undefined ? undefined : await decodeImage(lr, await readBytes(lr)),
  );
}

/** Names and paths. */
async function imagesAt(option: string, path: string): Promise<[name: string, path: string][]> {
  const found = await statOf(path);
  if (!found) fail(`${option} ${path}: there is no such file or folder`, { help: 'check the spelling' });
  if (!found.isDirectory()) return [[basename(path), path]];
  const files = await walk(path);
  const images = files.filter(formatOf);
  if (images.length === 0) {
    fail(`${option} ${path}: no images in this folder`, {
      notes: [`${files.length} other files`],
      help: 'images end in .png, .jpg, .webp, .tif or .avif',
    });
  }
  return images.map((name) => [name, join(path, name)]);
}
