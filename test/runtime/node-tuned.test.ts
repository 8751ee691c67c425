// What `src tune` measured, as a file that may be another's, an older one, damaged or not there.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import type { Description } from '../../runtime/device.js';
import type { Tuned } from '../../runtime/kernels/conv_family.js';
import { printTuning, readTuning, tuningFile } from '../../runtime/node-tuned.js';

const folder = mkdtempSync(join(tmpdir(), 'src-tuned-'));
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});
vi.stubEnv('XDG_CACHE_HOME', folder);

const GPU: Description = {
  name: 'Example RTX 9000 (R)',
  vendor: 'example',
  architecture: 'lovely',
  driver: 'Example 1.2.3',
  kind: 'hardware',
  features: [],
  limits: {
    maxStorageBufferBindingSize: 1,
    maxBufferSize: 1,
    maxStorageBuffersPerShaderStage: 1,
    maxComputeWorkgroupStorageSize: 1,
    maxComputeInvocationsPerWorkgroup: 1,
    maxComputeWorkgroupSizeX: 1,
    maxComputeWorkgroupSizeY: 1,
    maxComputeWorkgroupSizeZ: 1,
    maxComputeWorkgroupsPerDimension: 1,
  },
};
const CHOICES: Tuned = {
  'conv3x3 64>64 s1 p1 f32': { variant: 'direct', tile: { width: 4, height: 2, groups: 2 } },
  'wgrad3x3 64>64 s1 p1 f32 @4096': { variant: 'direct' },
};
const MEASURED = new Date('2026-03-04T05:06:07Z');
const TEXT = printTuning(GPU, CHOICES, MEASURED);

function keep(text: string): void {
  const file = tuningFile(GPU);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

beforeEach(() => rmSync(tuningFile(GPU), { recursive: true, force: true }));

test('where nothing was measured, nothing is chosen', async () => {
  expect(await readTuning(GPU)).toEqual({ choices: {} });
});

test('what was written is read, in the folder of the cache', async () => {
  keep(TEXT);
  expect(tuningFile(GPU)).toBe(join(folder, 'src/tuned/example-rtx-9000-r-.json'));
  expect(await readTuning(GPU)).toEqual({ choices: CHOICES, measured: MEASURED });
});

test.each([
  ['another adapter of the same name', { architecture: 'older' }, 'that was another adapter'],
  ['another driver', { driver: 'Example 1.2.4' }, 'it has another driver now'],
])('%s: nothing counts', async (_, change, stale) => {
  keep(TEXT);
  expect(await readTuning({ ...GPU, ...change })).toEqual({ choices: {}, measured: MEASURED, stale });
});

test('other kernels: nothing counts', async () => {
  keep(TEXT.replace(/"kernels": "\w{12}"/, '"kernels": "0123456789ab"'));
  const stale = 'kernels have changed since';
  expect(await readTuning(GPU)).toEqual({ choices: {}, measured: MEASURED, stale });
});

test.each([
  ['nothing', ''],
  ['half of it', TEXT.slice(0, TEXT.length / 2)],
  ['another format', TEXT.replace('src tuned 1', 'src tuned 2')],
  ['a list', '[]'],
  ['choices that are none', TEXT.replace('"variant"', '"variety"')],
  ['no time', TEXT.replace('2026-03', 'March')],
])('damaged, %s: nothing counts', async (_, text) => {
  keep(text);
  expect(await readTuning(GPU)).toEqual({ choices: {}, stale: 'its file is damaged' });
});

test('a file that cannot be read stops nobody', async () => {
  mkdirSync(tuningFile(GPU), { recursive: true });
  expect(await readTuning(GPU)).toEqual({ choices: {}, stale: 'its file cannot be read' });
});
