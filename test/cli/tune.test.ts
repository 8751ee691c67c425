// `src tune` as people use it: what it prints, writes and drops, and what other commands make of that.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { writeAtomic } from '../../cli/files.js';
import { describeFaults, printMeasured } from '../../cli/tune-table.js';
import type { Measured } from '../../compiler/tune.js';
import type { Tuned } from '../../runtime/kernels/conv_family.js';
import { printTuning, readTuning, tuningFile } from '../../runtime/node-tuned.js';
import { describeOnDevice } from '../on-device.js';
import { src, temporaryFolder, writeFiles } from './harness.js';

const folder = temporaryFolder();
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Kernels of one pixel are the quickest to compile. */
const SMALL = `generator small : (3, h, w) -> (3, 2*h, 2*w) { conv(12, 1); pixelshuffle(2) }
train { degrade: bicubic(2); patch: 16; batch: 2; seed: 1; stage psnr { minimize: l1; steps: 6; adam(lr=1e-2) } }
`;
const { 'small.sr': small } = writeFiles(folder, { 'small.sr': SMALL });

test('ONNX Runtime has no kernels of ours to choose from', async () => {
  const { code, err } = await src(['tune', small, '--device', 'cpu']);
  expect(code).toBe(2);
  expect(err).toContain('--device cpu is ONNX Runtime');
});

describe('the table', () => {
  const [usual, other] = [
    { variant: 'direct' } as const,
    { variant: 'tiled', tile: { width: 4, height: 2, groups: 2, lanes: [8, 8, 1] } } as const,
  ];
  const faults = [{ choice: other, what: 'the result differs by 1.0e+0' }];
  const measured: Measured[] = [
    {
      key: 'conv3x3 64>32 s1 p1 f32',
      count: 69,
      macs: 1e9,
      heuristic: { choice: usual, ms: 400 },
      best: { choice: other, ms: 320 },
      chosen: { choice: other, ms: 320 },
      faults: [],
    },
    {
      key: 'conv3x3 3>64 s1 p1 f32',
      count: 1,
      macs: 1e7,
      heuristic: { choice: usual, ms: 8 },
      best: { choice: other, ms: 7.9 },
      chosen: { choice: usual, ms: 8 },
      faults,
    },
  ];

  test('says what is gained, and how far the heuristic was from it', () => {
    expect(printMeasured({ name: 'esrgan, 64x64', measured })).toBe(`esrgan, 64x64
  conv3x3 64>32 s1 p1 f32  69 in   400 ms  -> 320 ms  -20%  tiled 4x2x2 by 8x8x1
  conv3x3 3>64 s1 p1 f32    1 in  8.00 ms                   direct
  all convolutions: 408 ms -> 328 ms, -20%
  without tuning: 24% above the best, 25% at most (conv3x3 64>32 s1 p1 f32)

`);
  });

  test('an hour is so many seconds', () => {
    const [first] = measured;
    const slow = { ...first!, heuristic: { choice: usual, ms: 3.6e6 }, chosen: { choice: usual, ms: 3.6e6 } };
    expect(printMeasured({ name: 'esrgan', measured: [slow] })).toContain('69 in  3600 s  ');
  });

  test('a network without convolutions is a table without rows', () => {
    expect(printMeasured({ name: 'doubler', measured: [] })).toBe('doubler\n  no convolutions\n\n');
  });

  test('a kernel that is wrong in several subjects is told once', () => {
    const reports = [
      { name: 'a', measured },
      { name: 'b', measured },
    ];
    expect(describeFaults(reports)).toEqual([
      'conv3x3 3>64 s1 p1 f32 as tiled 4x2x2 by 8x8x1: the result differs by 1.0e+0',
    ]);
  });
});

describe('mistakes', () => {
  test.each([
    ['no such stage', ['--train', 'gan'], 'there is no stage `gan`'],
    ['a patch that does not fit', ['--train', '--patch', '15'], 'a patch of 15 is no multiple of 2'],
    ['a file in place of a stage', ['--train', small], `put --train after it: src tune ${small} --train`],
    ['a batch of nothing', ['--batch', '4'], '--batch is of training steps, which are not measured'],
    ['a device that runs networks only', ['--device', 'cpu'], '--device cpu is ONNX Runtime'],
    ['no time', ['--budget', '0'], '--budget 0: this is not a number from 1'],
    ['no size', ['--size', '64'], '--size 64: this is not WIDTHxHEIGHT'],
  ])('%s', async (_, args, message) => {
    const { code, err } = await src(['tune', small, ...args]);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });
});

describeOnDevice('src tune', ({ description }) => {
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
  const file = tuningFile(description);
  const keep = (tuned: Tuned) => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, printTuning(description, tuned, new Date()));
  };

  test('measures, keeps what it finds for other commands, and forgets', async () => {
    keep({ 'conv9x9 1>1 s1 p1 f32': { variant: 'direct' }, 'conv1x1 3>3 s1 p4 f32': { variant: 'direct' } });
    const args = ['tune', small, '--size', '16x16', '--budget', '1', '--json'];
    const { code, out, err } = await src(args);
    expect([code, err]).toEqual([0, expect.stringContaining(`${file}: from now on used on this device`)]);
    const { device, subjects } = JSON.parse(out);
    expect(device.name).toBe(description.name);
    expect(subjects).toMatchObject([{ name: 'small, 16x16', ms: { heuristic: expect.any(Number) } }]);
    const [{ key, chosen, heuristic }] = subjects[0].classes;
    expect(key).toBe('conv1x1 3>3 s1 p4 f32');

    const { choices, measured } = await readTuning(description);
    expect(Date.now() - measured!.getTime()).toBeLessThan(60_000);
    const gained = JSON.stringify(chosen.choice) !== JSON.stringify(heuristic.choice);
    expect(choices).toEqual({
      'conv9x9 1>1 s1 p1 f32': { variant: 'direct' },
      ...(gained && { [key]: chosen.choice }),
    });

    const doctor = await src(['doctor']);
    expect(doctor.out).toMatch(/^tuned +just now: \d choices? of a kernel$/m);
    keep({});
    expect((await src(['doctor'])).out).toMatch(/^tuned +just now: the usual kernels are the fastest$/m);
    expect((await src(['tune', '--forget'])).err).toBe(`${file}: removed\n`);
    expect((await src(['tune', '--forget'])).err).toBe(`nothing was measured on ${description.name}\n`);
    expect((await src(['doctor'])).out).toMatch(/^tuned +no: `src tune` measures /m);
  });

  test('interrupted, it leaves what there was', async () => {
    keep({ 'conv9x9 1>1 s1 p1 f32': { variant: 'direct' } });
    const before = readFileSync(file, 'utf8');
    const interruption = new AbortController();
    const ended = src(['tune', small, '--budget', '60'], '', interruption.signal);
    setTimeout(() => interruption.abort(), 200);
    expect(await ended).toMatchObject({
      code: 130,
      err: expect.stringContaining('stopped: nothing is written'),
    });
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  test('a folder that cannot be written is told before anything is measured', async () => {
    writeFiles(folder, { 'no-folder': '' });
    vi.stubEnv('XDG_CACHE_HOME', join(folder, 'no-folder'));
    const { code, err } = await src(['tune', small]);
    vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(/cannot be written.*\n.*help: set XDG_CACHE_HOME to/),
    ]);
  });

  test('two that write at once leave the file of one of them', async () => {
    const texts = (['direct', 'subgroup'] as const).map((variant) => {
      const choices = Array.from(
        { length: 500 },
        (_, i) => [`conv3x3 8>${i} s1 p1 f32`, { variant }] as const,
      );
      return printTuning(description, Object.fromEntries(choices), new Date());
    });
    writeFileSync(file, texts[0]!);
    const writes = Array.from({ length: 20 }, (_, i) =>
      writeAtomic(file, new TextEncoder().encode(texts[i % 2])),
    );
    const reads = Array.from({ length: 20 }, async () => (await readTuning(description)).stale);
    expect(await Promise.all(reads)).toEqual(Array(20).fill(undefined));
    await Promise.all(writes);
    expect(texts).toContain(readFileSync(file, 'utf8'));
  });
});
