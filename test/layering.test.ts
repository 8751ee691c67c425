// The layers of the house, enforced: imports point downwards only, and the core runs in a browser.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

/** What each room may import, beside itself and the packages below. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'diagnostics.ts': [],
  formats: ['diagnostics.ts'],
  'runtime/kernels': ['diagnostics.ts', 'runtime'],
  runtime: ['diagnostics.ts', 'formats', 'runtime/kernels'],
  compiler: ['diagnostics.ts', 'formats', 'runtime', 'runtime/kernels'],
  dsl: ['diagnostics.ts', 'compiler', 'runtime'],
  train: ['diagnostics.ts', 'formats', 'dsl', 'compiler', 'runtime'],
  'index.ts': ['diagnostics.ts', 'formats', 'train', 'dsl', 'compiler', 'runtime'],
  cli: ['diagnostics.ts', 'index.ts', 'train', 'formats', 'dsl', 'compiler', 'runtime'],
  'node.ts': ['cli', 'formats', 'runtime'],
};

/** Kernels take layouts and types from the runtime, nothing that runs. */
const KERNELS_MAY_IMPORT = ['runtime/dims.ts', 'runtime/plan.ts'];

const BROWSER_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  formats: ['fflate'],
};

const files = readdirSync(ROOT, { recursive: true, withFileTypes: true })
  .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
  .filter(
    (file) => file.endsWith('.ts') && !/^(node_modules|dist|test|bench|examples)\/|\.config\.ts$/.test(file),
  );

function roomOf(file: string): string {
  if (file.startsWith('runtime/kernels/')) return 'runtime/kernels';
  return file.split('/')[0]!;
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const statements = text.matchAll(/^(?:import|export) [\w\s{},*]*from '([^']+)';$|\bimport\('([^']+)'\)/gm);
  return [...statements].map((match) => match[1] ?? match[2]!);
}

test('there are files to judge', () => {
  expect(files.length).toBeGreaterThan(80);
  expect(new Set(files.map(roomOf))).toEqual(new Set(Object.keys(MAY_IMPORT)));
});

test.each(files)('%s', (file) => {
  const room = roomOf(file);
  const nodeDoor = room === 'cli' || /^runtime\/node[\w-]*\.ts$/.test(file) || file === 'node.ts';
  for (const specifier of importsOf(file)) {
    if (!specifier.startsWith('.')) {
      if (!nodeDoor)
        expect(BROWSER_PACKAGES[room] ?? [], `${file} imports ${specifier}`).toContain(specifier);
      continue;
    }
    const target = relative(ROOT, join(ROOT, dirname(file), specifier)).replace(/\.js$/, '.ts');
    const targetRoom = roomOf(target);
    if (targetRoom === room) continue;
    expect(MAY_IMPORT[room], `${file} imports ${target}`).toContain(targetRoom);
    if (room === 'runtime/kernels' && targetRoom === 'runtime') expect(KERNELS_MAY_IMPORT).toContain(target);
    const opensNodeDoor = /^runtime\/node/.test(target);
    if (opensNodeDoor) expect(nodeDoor, `${file} imports ${target}`).toBe(true);
  }
});

/** What a start loads, whatever the command: `src --help` takes no longer than it must. */
const COMMANDS_MAY_IMPORT = ['diagnostics.ts', 'cli/options.ts', 'cli/package.ts', 'cli/published.ts'];

test.each(files.filter((file) => file.startsWith('cli/commands/')))(
  '%s loads what it does when it runs',
  (file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [, specifier] of text.matchAll(/^import (?!type\b)[\w\s{},*]*from '(\..+)';$/gm)) {
      const target = relative(ROOT, join(ROOT, dirname(file), specifier!)).replace(/\.js$/, '.ts');
      expect(COMMANDS_MAY_IMPORT, `${file} imports ${target}`).toContain(target);
    }
  },
);
