// Files for people: every failure says which file, what is wrong and what to do; a file appears under its name only
// when it is complete.

import { constants, type Stats, unlinkSync } from 'node:fs';
import { access, open, readdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail, type Source } from '../diagnostics.js';
import { makeFolder } from '../runtime/node-cache.js';

/** What the system's error codes mean, and what helps. */
const REASONS: Readonly<Record<string, readonly [what: string, help: string]>> = {
  ENOENT: ['there is no such file or folder', 'check the spelling and the folder you are in'],
  ENOTDIR: ['a part of its path is a file, not a folder', 'check the path'],
  EEXIST: ['a part of its path is a file, not a folder', 'check the path'],
  EISDIR: ['it is a folder', 'pass a file'],
  EACCES: ['permission denied', 'change its permissions or choose another place'],
  EPERM: ['the system does not permit it', 'change its permissions or choose another place'],
  EROFS: ['the file system is read-only', 'choose another place'],
  ENOSPC: ['the disk is full', 'free some space or choose another place'],
  EDQUOT: ['the disk quota is used up', 'free some space or choose another place'],
  EFBIG: ['it is larger than the file system permits', 'choose another place'],
  ENAMETOOLONG: ['the name is too long', 'choose a shorter name'],
  ELOOP: ['its symbolic links go in circles', 'check the links'],
  EMFILE: ['too many files are open', 'close other programs, or raise the limit: ulimit -n 4096'],
  EIO: ['the disk reports an error', 'check the disk'],
  ERR_FS_FILE_TOO_LARGE: ['it has more than 2 GiB', 'split it'],
};

/** Says what an error of the system means for the file. */
export function failIo(path: string, doing: 'read' | 'written', error: unknown): never {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason = REASONS[code];
  if (reason) fail(`${path}: cannot be ${doing}: ${reason[0]}`, { help: reason[1] });
  if (error instanceof Error && 'syscall' in error) fail(`${path}: cannot be ${doing}: ${error.message}`);
  throw error;
}

export async function readBytes(path: string): Promise<Uint8Array> {
  const found = await statOf(path);
  if (found?.isCharacterDevice() || found?.isBlockDevice()) {
    fail(`${path}: cannot be read: it is a device`, { help: 'pass a file' });
  }
  return readFile(path).catch((error) => failIo(path, 'read', error));
}

export async function readText(path: string): Promise<Source> {
  return decodeSource(path, await readBytes(path));
}

export function decodeSource(name: string, bytes: Uint8Array): Source {
  try {
    return { name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return fail(`${name}: this is not text in UTF-8`, { help: 'pass a .sr file' });
  }
}

/** Undefined when there is nothing of that name. */
export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return undefined;
    }
    return failIo(path, 'read', error);
  }
}

/** The files in `folder` and below, relative to it, sorted; hidden ones and folder links (they may loop) left out. */
export async function walk(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) =>
    failIo(folder, 'read', error),
  );
  const files: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) {
      for (const file of await walk(join(folder, entry.name))) files.push(join(entry.name, file));
    } else if (
      entry.isFile() ||
      (entry.isSymbolicLink() && (await statOf(join(folder, entry.name)))?.isFile())
    ) {
      files.push(entry.name);
    }
  }
  return files;
}

/** Makes sure, before work begins, that `path` can be written at its end: makes its folder, refuses folders. */
export async function prepareOutput(path: string): Promise<void> {
  try {
    const found = await statOf(path);
    if (found?.isDirectory()) {
      fail(`${path}: cannot be written: it is a folder`, { help: "pass a file's name" });
    }
    makeFolder(dirname(path));
    await access(found ? path : dirname(path), constants.W_OK);
  } catch (error) {
    failIo(path, 'written', error);
  }
}

/** Files being written, for `removeTemporaries`. */
const temporaries = new Set<string>();

/** Writes beside the target and renames, so that nobody ever sees half a file. */
export async function writeAtomic(path: string, bytes: Uint8Array): Promise<void> {
  try {
    const found = await statOf(path);
    // Devices and pipes are written as they are: a rename would replace /dev/null.
    if (found && !found.isFile()) return await writeFile(path, bytes);
    const target = found ? await realpath(path) : path;
    const temporary = join(dirname(target), `.src-${crypto.randomUUID()}.tmp`);
    temporaries.add(temporary);
    try {
      const file = await open(temporary, 'wx', found?.mode);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, target);
      temporaries.delete(temporary);
    } finally {
      removeTemporary(temporary);
    }
  } catch (error) {
    failIo(path, 'written', error);
  }
}

/** For the end of the process, whatever ends it. */
export function removeTemporaries(): void {
  for (const path of temporaries) removeTemporary(path);
}

function removeTemporary(path: string): void {
  if (!temporaries.delete(path)) return;
  try {
    unlinkSync(path);
  } catch {
    // It was not made yet.
  }
}

/** `photos/cat.jpg` -> `photos/cat` */
export function withoutExtension(path: string): string {
  const name = basename(path);
  const dot = name.lastIndexOf('.');
  return join(dirname(path), dot > 0 ? name.slice(0, dot) : name);
}
