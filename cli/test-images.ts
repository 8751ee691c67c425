// Images to judge a network by: originals, in a folder or alone, and their reduced versions where there are some.

import { basename, relative } from 'node:path';
import { type TestImage, testImage } from '../train/validation.js';
import { listData } from './data-files.js';
import { readBytes, statOf } from './files.js';
import { decodeImage } from './images/decode.js';

export interface TestFile {
  /** Relative to the folder. */
  readonly name: string;
  readonly hr: string;
  /** Made from the original where there is none. */
  readonly lr?: string;
}

/** `reduced` is a folder too, or the one image that belongs to `data`. */
export async function listTestFiles(data: string, scale: number, reduced?: string): Promise<TestFile[]> {
  if ((await statOf(data))?.isFile()) {
    return [{ name: basename(data), hr: data, ...(reduced !== undefined && { lr: reduced }) }];
  }
  const { files } = await listData(data, scale, reduced);
  return files.map(({ name, reduced: lr }) => ({
    name: relative(data, name),
    hr: name,
    ...(lr !== undefined && { lr }),
  }));
}

export async function readTestImage({ name, hr, lr }: TestFile, scale: number): Promise<TestImage> {
  const read = async (path: string) => decodeImage(path, await readBytes(path));
  return testImage(name, await read(hr), scale, lr === undefined ? undefined : await read(lr));
}
