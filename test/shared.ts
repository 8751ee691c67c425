// The folder of real weights, photos and reference outputs that lies beside a checkout on the project's own machines.
// Tests that need it are skipped where it is not, and say so.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readWeights } from '../formats/detect.js';
import type { WeightFile } from '../formats/weights.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const SHARED = join(ROOT, '..', 'shared');

/** Why tests are skipped, or undefined where the folder is. */
export const missingShared = existsSync(join(SHARED, 'models'))
  ? undefined
  : 'no ../shared folder: real weights, photos and reference outputs are not tested';

if (missingShared) console.warn(`\nSKIPPED: ${missingShared}\n`);

export function shared(path: string): string {
  return join(SHARED, path);
}

export function sharedBytes(path: string): Uint8Array {
  return readFileSync(shared(path));
}

export function sharedWeights(file: string): Promise<WeightFile> {
  return readWeights(file, sharedBytes(`models/${file}`), (name) => sharedBytes(`models/${name}`));
}

/** A `.sr` file that ships. */
export function graphSource(file: string): { name: string; text: string } {
  return { name: `graphs/${file}`, text: readFileSync(join(ROOT, 'graphs', file), 'utf8') };
}
