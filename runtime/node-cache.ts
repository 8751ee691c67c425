// Where things lie that can be fetched, unpacked or measured again, and the making of folders.

import { mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** The user's, by the custom of each system. */
export function cacheFolder(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, 'src');
  if (process.platform === 'win32') return join(LOCALAPPDATA || join(homedir(), 'AppData/Local'), 'src');
  if (process.platform === 'darwin') return join(homedir(), 'Library/Caches/src');
  return join(homedir(), '.cache/src');
}

/** With the folders above it. Not `recursive: true`, with which Node never returns from places like /proc. */
export function makeFolder(path: string): void {
  if (isFolder(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if (!isFolder(path)) throw error; // else someone else made it meanwhile
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
