// `src plot`: where drawings go and in which form.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readPngHeader } from '../../formats/png-header.js';
import { printMetrics } from '../../train/metrics.js';
import { src, temporaryFolder, writeFiles } from './harness.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const metrics = [1, 2, 3].map((step) =>
  printMetrics({ stage: 'psnr', step, time: 0, lr: 1e-4, loss: { total: 1 / step }, imagesPerSecond: 1 }),
);
writeFiles(folder, {
  'x/metrics.jsonl': `${metrics.join('')}{"stage":"ps`,
  'y/metrics.jsonl': metrics.join(''),
  'new/metrics.jsonl': '',
  'none/notes.txt': 'no run',
});
const run = (name: string) => join(folder, name);

test('an SVG in the folder of the run', async () => {
  const { code, out, err } = await src(['plot', run('x')]);
  expect({ code, out, err }).toEqual({ code: 0, out: '', err: `${run('x')}/curves.svg\n` });
  const svg = readFileSync(run('x/curves.svg'), 'utf8');
  expect(svg).toMatch(/^<svg /);
  expect(svg).toContain('>learning rate</text>');
});

test('a PNG, twice as fine', async (context) => {
  if (!(await import('sharp').catch(() => undefined))) context.skip('sharp is not installed');
  const { code } = await src(['plot', run('x'), run('y'), '-o', run('out/both.png')]);
  expect(code).toBe(0);
  const { width, height } = readPngHeader('both.png', readFileSync(run('out/both.png')));
  expect([width, height]).toEqual([2 * 1080, 2 * 300]);
});

test.each([
  [[run('none')], 'this is no folder of a training'],
  [[run('missing')], 'this is no folder of a training'],
  [[run('new')], 'there is nothing to draw yet'],
  [[run('x'), '-o', run('curves.jpg')], 'curves are drawn as SVG or PNG'],
])('%j', async (argv, expected) => {
  const { code, err } = await src(['plot', ...argv]);
  expect(code).toBe(2);
  expect(err).toContain(expected);
});
