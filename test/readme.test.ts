// The README shows code that exists: its library example is examples/upscale.mjs, its network is graphs/esrgan.sr.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const README = read('README.md');

test('the library example', () => {
  const shown = /```js\n([\s\S]*?)```/.exec(README)?.[1];
  const [, ...lines] = read('examples/upscale.mjs').split('\n');
  expect(shown).toBe(lines.join('\n'));
});

test('the network', () => {
  const shown = /```\n(\/\/ esrgan\.sr[\s\S]*?)```/.exec(README)?.[1] ?? '';
  const code = (text: string) => text.replace(/^\/\/.*\n/gm, '').replace(/\n+/g, '\n');
  expect(code(read('graphs/esrgan.sr')).trimEnd()).toBe(code(shown).trimEnd());
});
