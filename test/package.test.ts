// What `npm ci` does in a clone beside unpacking packages.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const LOCK: { readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean }>> } =
  JSON.parse(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8'));

// npm runs install scripts of packages that the lock file marks. onnxruntime-node's downloads CUDA libraries, so its
// mark is deleted; `npm install` on another version writes it again.
test('install scripts are those that build the device', () => {
  const marked = Object.entries(LOCK.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  expect(marked.map(([path]) => path)).toEqual(['node_modules/webgpu']);
});

test('the lock file names every platform of Biome', () => {
  const platforms = Object.keys(LOCK.packages).filter((path) =>
    path.startsWith('node_modules/@biomejs/cli-'),
  );
  expect(platforms).toHaveLength(10);
});
