// Files appear whole or not at all, and where they belong.

import { lstatSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { prepareOutput, walk, writeAtomic } from '../../cli/files.js';
import { filesIn, temporaryFolder, writeFiles } from './harness.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
});
const bytes = new TextEncoder().encode('new');

test('a file is replaced with its mode, through a link', async () => {
  const { 'a.txt': path } = writeFiles(folder, { 'a.txt': 'old' });
  const { mode } = statSync(path);
  symlinkSync(path, join(folder, 'link'));
  await writeAtomic(join(folder, 'link'), bytes);
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).mode).toBe(mode);
  expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
  expect(filesIn(folder)).toEqual(['a.txt', 'link']);
});

test('a device stays a device', async () => {
  await writeAtomic('/dev/null', bytes);
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
});

test('a write that fails leaves what was there, and nothing else', async () => {
  const { 'a/b': inner } = writeFiles(folder, { 'a/b': 'old' });
  await expect(writeAtomic(join(folder, 'a'), bytes)).rejects.toThrow('a: cannot be written: it is a folder');
  await expect(writeAtomic(join(inner, 'c'), bytes)).rejects.toThrow('a part of its path is a file');
  await expect(writeAtomic(join(folder, 'none/c'), bytes)).rejects.toThrow('there is no such file or folder');
  expect(filesIn(folder)).toEqual(['a/b']);
});

test('an output is prepared with its folders, or refused', async () => {
  // Several at once make the same folders.
  await Promise.all([...'abcdefgh'].map((name) => prepareOutput(join(folder, `x/y/${name}.png`))));
  expect(statSync(join(folder, 'x/y')).isDirectory()).toBe(true);
  await expect(prepareOutput(join(folder, 'x'))).rejects.toThrow('x: cannot be written: it is a folder');
  await expect(prepareOutput('/proc/none/z.png')).rejects.toThrow('cannot be written');
});

test('a walk is sorted, and leaves out what is hidden and what may loop', async () => {
  writeFiles(folder, { 'b/2': '', 'b/10': '', a: '', '.hidden': '', '.git/x': '' });
  symlinkSync(folder, join(folder, 'b/loop'));
  symlinkSync(join(folder, 'a'), join(folder, 'c'));
  expect(await walk(folder)).toEqual(['a', 'b/10', 'b/2', 'c']);
});
