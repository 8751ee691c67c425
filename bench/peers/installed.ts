// Packages that `npm run bench:setup` installs, or that are missing.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../machine.js';
import { Missing } from '../peer.js';

/** The version of a package that must be there. */
export function installed(name: string): string {
  const file = join(ROOT, 'bench/node_modules', name, 'package.json');
  if (!existsSync(file)) throw new Missing(`${name} is not installed: npm run bench:setup`);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}
