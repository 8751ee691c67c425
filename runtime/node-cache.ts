// Where things lie that can be fetched, unpacked or measured again.

import { homedir } from 'node:os';
import { join } from 'node:path';

/** The user's, by the custom of each system. */
export function cacheFolder(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, 'src');
  if (process.platform === 'win32') return join(LOCALAPPDATA || join(homedir(), 'AppData/Local'), 'src');
  if (process.platform === 'darwin') return join(homedir(), 'Library/Caches/src');
  return join(homedir(), '.cache/src');
}
