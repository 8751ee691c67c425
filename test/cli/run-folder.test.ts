// The folder of a run: one trainer at a time, checkpoints that survive whatever happens, records without duplicates.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { newestWeights, RunFolder, type Session } from '../../cli/run-folder.js';
import { UserError } from '../../diagnostics.js';
import { readSafetensors } from '../../formats/safetensors.js';
import type { MetricsLine } from '../../train/metrics.js';
import type { TrainingState } from '../../train/state.js';
import { filesIn, temporaryFolder } from './harness.js';

/** Whether the disk takes no more. */
const disk = vi.hoisted(() => ({ full: false }));

vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof import('node:fs/promises')>();
  const open = async (...args: Parameters<typeof fs.open>): Promise<FileHandle> => {
    const file = await fs.open(...args);
    const write = file.writeFile.bind(file);
    file.writeFile = async (data, options) => {
      if (!disk.full) return write(data, options);
      await write('the first few bytes', options);
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
        code: 'ENOSPC',
        syscall: 'write',
      });
    };
    return file;
  };
  return { ...fs, open };
});

const STAGES = [
  { name: 'psnr', steps: 100 },
  { name: 'gan', steps: 50 },
];
const SESSION: Session = {
  source: { name: 'mine.sr', text: 'generator mine …\n' },
  command: ['train', 'mine.sr'],
  device: 'a device',
  versions: { src: '0.1.0' },
  settings: { batch: '16' },
  at: { stage: 'psnr', step: 0 },
};

const state = (stage: string, step: number): TrainingState => ({
  stage,
  step,
  values: new Map([['net.weight', Float32Array.of(step)]]),
  moment1: new Map(),
  moment2: new Map(),
});
const line = (stage: string, step: number): MetricsLine => ({
  stage,
  step,
  time: step,
  lr: 1e-4,
  loss: { total: step },
  imagesPerSecond: 1,
});

let folder: string;
let said: string[];
let opened: RunFolder[];
beforeEach(() => {
  folder = join(temporaryFolder(), 'runs/x');
  said = [];
  opened = [];
  disk.full = false;
});
afterEach(async () => {
  vi.useRealTimers();
  for (const run of opened) await run.close();
  rmSync(dirname(dirname(folder)), { recursive: true });
});

async function openRun(): Promise<RunFolder> {
  const run = await RunFolder.open(folder, { stages: STAGES, keep: 2, say: (text) => said.push(text) });
  opened.push(run);
  return run;
}

async function begun(session: Partial<Session> = {}): Promise<RunFolder> {
  const run = await openRun();
  await run.begin({ ...SESSION, ...session });
  return run;
}

const checkpoint = (stage: string, step: number) => join(folder, `checkpoints/${stage}-${step}.safetensors`);
const checkpoints = () => filesIn(join(folder, 'checkpoints'));

async function refusal(work: Promise<unknown>): Promise<UserError['diagnostics'][number]> {
  const error = await work.then(
    () => undefined,
    (cause) => cause,
  );
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).diagnostics[0]!;
}

describe('the lock', () => {
  test('a second trainer is refused, until the first is done', async () => {
    const first = await openRun();
    const { message, notes, help } = await refusal(openRun());
    expect(message).toBe(`${folder}: another process is training in this folder`);
    expect(notes![0]).toContain(`process ${process.pid} on ${hostname()}, since 2`);
    expect(help).toContain(`delete ${folder}/lock`);
    await first.close();
    await openRun();
    expect(said).toEqual([]);
  });

  const lockOf = (holder: object | string) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'lock'), typeof holder === 'string' ? holder : JSON.stringify(holder));
  };

  test('that of a process that is gone is taken over', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    lockOf({ pid, host: hostname(), since: '2024-05-06T07:08:09Z' });
    const run = await openRun();
    expect(said).toEqual([
      `${folder}: process ${pid}, which trained here since 2024-05-06T07:08:09Z, is gone: its lock is taken over`,
    ]);
    await refusal(openRun());
    await run.close();
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  test('of two that find it stale, one gets it', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    lockOf({ pid, host: hostname(), since: 'then' });
    const results = await Promise.allSettled([openRun(), openRun()]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('one of this very process, before it was restarted, is stale', async () => {
    lockOf({ pid: process.pid, host: hostname(), since: 'then' });
    await openRun();
    expect(said).toHaveLength(1);
  });

  test('those of living processes, of other machines and of nobody are respected', async () => {
    for (const holder of [
      { pid: process.ppid, host: hostname(), since: 'then' },
      { pid: 1, host: 'elsewhere', since: 'then' },
      '',
    ]) {
      lockOf(holder);
      await refusal(openRun());
      expect(readFileSync(join(folder, 'lock'), 'utf8')).toBe(
        typeof holder === 'string' ? holder : JSON.stringify(holder),
      );
    }
  });
});

describe('checkpoints', () => {
  test('the last few are kept, and the last of every stage', async () => {
    const run = await begun();
    expect(await run.newest()).toBeUndefined();
    for (const step of [20, 40, 60, 80, 100]) await run.checkpoint(state('psnr', step));
    expect(checkpoints()).toEqual(['psnr-100.safetensors', 'psnr-60.safetensors', 'psnr-80.safetensors']);
    for (const step of [9, 10, 11]) await run.checkpoint(state('gan', step));
    expect(checkpoints().filter((file) => file.startsWith('gan'))).toEqual([
      'gan-10.safetensors',
      'gan-11.safetensors',
    ]);

    expect(await run.newest()).toEqual({ state: state('gan', 11), settings: { batch: '16' } });
    expect((await run.newest('psnr'))!.state.step).toBe(100);
  });

  test('a damaged one is left out, and it says which is used', async () => {
    const run = await begun();
    await run.checkpoint(state('psnr', 100));
    await run.checkpoint(state('gan', 10));
    await run.checkpoint(state('gan', 20));
    truncateSync(checkpoint('gan', 20), 200);
    expect((await run.newest())!.state).toEqual(state('gan', 10));
    expect(said).toEqual([
      `${checkpoint('gan', 20)}: this checkpoint is damaged; ${checkpoint('gan', 10)} is used instead`,
    ]);
    writeFileSync(checkpoint('gan', 10), '');
    said.length = 0;
    expect((await run.newest())!.state).toEqual(state('psnr', 100));
    expect(said).toEqual(
      [20, 10].map(
        (step) =>
          `${checkpoint('gan', step)}: this checkpoint is damaged; ${checkpoint('psnr', 100)} is used instead`,
      ),
    );
    said.length = 0;
    truncateSync(checkpoint('psnr', 100), 300);
    const { message, notes } = await refusal(run.newest());
    expect(message).toBe(`${folder}: no checkpoint can be used: 3 of 3 are damaged`);
    expect(notes).toHaveLength(3);
    expect(said).toEqual([]);
  });

  test('a full disk loses nothing', async () => {
    const run = await begun();
    await run.checkpoint(state('psnr', 10));
    await run.checkpoint(state('psnr', 20));
    const before = filesIn(folder);
    disk.full = true;
    const { message, notes, help } = await refusal(run.checkpoint(state('psnr', 30)));
    expect(message).toBe(`${checkpoint('psnr', 30)}: cannot be written: the disk is full`);
    expect(notes).toEqual([`${checkpoint('psnr', 20)} is whole: the same command goes on from there`]);
    expect(help).toContain('free some space');
    await refusal(run.weights({ stage: 'psnr', step: 30 }, new Map()));
    expect(filesIn(folder)).toEqual(before);
    disk.full = false;
    expect((await run.newest())!.state.step).toBe(20);
    await run.checkpoint(state('psnr', 30));
    expect((await run.newest())!.state.step).toBe(30);
  });

  test('what a killed trainer was writing is swept away', async () => {
    await (await begun()).close();
    mkdirSync(join(folder, 'checkpoints'));
    writeFileSync(join(folder, 'checkpoints/.src-0000.tmp'), 'half of it');
    await begun();
    expect(checkpoints()).toEqual([]);
  });
});

test('metrics and run.json go on where the checkpoint was', async () => {
  const first = await begun();
  for (const step of [10, 20, 30]) await first.metrics(line('psnr', step));
  await first.close();
  const metrics = join(folder, 'metrics.jsonl');
  writeFileSync(metrics, `${readFileSync(metrics, 'utf8')}{"stage":"psnr","st`);

  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  const at = { stage: 'psnr', step: 20 };
  const second = await begun({ at, device: 'another' });
  for (const step of [30, 40]) await second.metrics(line('psnr', step));
  const gan = { stage: 'gan', step: 0 };
  await second.begin({ ...SESSION, at: gan });
  await second.metrics(line('gan', 10));
  const steps = readFileSync(metrics, 'utf8')
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text));
  expect(steps).toEqual([...[10, 20, 30, 40].map((step) => line('psnr', step)), line('gan', 10)]);
  const { sessions } = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8'));
  expect(sessions).toMatchObject([
    { device: 'a device', settings: { batch: '16' } },
    { device: 'another', at },
    { at: gan },
  ]);
  expect(readFileSync(join(folder, 'network.sr'), 'utf8')).toBe(SESSION.source.text);

  const events = filesIn(join(folder, 'tensorboard'));
  expect(events.map((file) => dirname(file))).toEqual(['gan', 'psnr', 'psnr']);
  for (const file of events) expect(file).toMatch(/^\w+\/events\.out\.tfevents\.\d{10}\./);
});

test('a run that begins anew has no metrics yet', async () => {
  const first = await begun();
  await first.metrics(line('psnr', 10));
  await first.close();
  await begun();
  expect(readFileSync(join(folder, 'metrics.jsonl'), 'utf8')).toBe('');
});

test('weights and samples', async () => {
  const run = await begun();
  expect(await newestWeights(folder)).toBeUndefined();
  const tensors = new Map([['conv.bias', { shape: [1], data: Float32Array.of(2), dtype: 'f32' as const }]]);
  await run.weights({ stage: 'psnr', step: 100 }, tensors);
  await run.weights({ stage: 'gan', step: 7 }, tensors);
  const gan = join(folder, 'weights/gan.safetensors');
  expect(readSafetensors('x', readFileSync(gan))).toMatchObject({
    tensors,
    metadata: { stage: 'gan', step: '7' },
  });
  utimesSync(gan, 1, 1);
  expect(await newestWeights(folder)).toBe(join(folder, 'weights/psnr.safetensors'));
  await run.sample(
    { stage: 'gan', step: 7 },
    { width: 2, height: 1, channels: 3, depth: 8, data: new Uint8Array(6) },
  );
  expect(readFileSync(join(folder, 'samples/gan-7.png')).subarray(1, 4).toString()).toBe('PNG');
});

test('records that are damaged stop no training', async () => {
  await (await begun()).close();
  writeFileSync(join(folder, 'run.json'), '{"sessions": [');
  writeFileSync(join(folder, 'metrics.jsonl'), Buffer.from([0xff, 0xfe, 0x0a]));
  await begun();
  const { sessions } = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8'));
  expect(sessions).toHaveLength(1);
  expect(readFileSync(join(folder, 'run.json.damaged'), 'utf8')).toBe('{"sessions": [');
  expect(readFileSync(join(folder, 'metrics.jsonl'), 'utf8')).toBe('');
});
