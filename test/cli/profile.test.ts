// `--profile` of run and train: what is printed, what the trace holds, and that nothing else changes.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeImage } from '../../cli/images/encode.js';
import { printProfile, profileLines } from '../../cli/profile-table.js';
import { isOrtInstalled } from '../../runtime/node-ort.js';
import type { Line, Profile } from '../../runtime/profile.js';
import { describeOnDevice, onDevice } from '../on-device.js';
import { TINY } from '../train/tiny.js';
import {
  build,
  DOUBLER,
  filesIn,
  identityWeights,
  src,
  start,
  temporaryFolder,
  writeFiles,
} from './harness.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));

const noise = (side: number, seed: number) =>
  encodeImage(
    {
      width: side,
      height: side,
      channels: 3,
      depth: 8,
      data: Uint8Array.from({ length: 3 * side * side }, (_, i) => 128 + 100 * Math.sin(i * seed)),
    },
    'png',
  );
const paths = writeFiles(folder, {
  'doubler.sr': DOUBLER,
  'doubler.safetensors': identityWeights(DOUBLER),
  'tiny.sr': TINY,
  'photos/a.png': await noise(12, 1),
  'photos/b.png': await noise(9, 2),
  'data/a.png': await noise(40, 1.3),
  'data/b.png': await noise(40, 0.7),
});
const at = (name: string) => join(folder, name);
const run = ['run', paths['doubler.sr'], '--weights', paths['doubler.safetensors'], ...onDevice];
const train = ['train', paths['tiny.sr'], '--data', at('data')];

const line = (ms: number, share: number, more: Partial<Line> = {}): Line => ({
  calls: 1,
  ms,
  share,
  gflops: 0,
  gbytes: 0,
  roofline: 0,
  ...more,
});
const PROFILE: Profile = {
  ceilings: { gflops: 90.25, gbytes: 6.5 },
  total: line(1234.5, 1, { calls: 4, gflops: 41.25 }),
  groups: [],
  layers: [
    {
      name: 'body.*.conv',
      shape: '(64, h, w)',
      at: 'a.sr:3:5',
      ...line(1200, 0.97, { calls: 1024, gflops: 42.5, gbytes: 0.25, roofline: 0.471 }),
    },
    {
      name: 'lrelu',
      shape: '(64, h, w)',
      at: 'a.sr:4:5',
      ...line(34.5, 0.028, { gbytes: 3, roofline: 0.46 }),
    },
    { name: 'copies', group: 'copies', ...line(0.004, 0.001) },
    { name: 'head', at: 'a.sr:1:1', ...line(0.002, 0.001) },
  ],
  kernels: [{ kernel: 'conv3x3_64_64_direct', ...line(1234.5, 1, { calls: 4 }) }],
  host: [
    { work: 'encode', calls: 2, ms: 0.5, bytes: 0 },
    { work: 'upload', calls: 1, ms: 1.25, bytes: 4096 },
  ],
};

describe('a profile', () => {
  test('as people read it', () => {
    expect(printProfile({ of: 'net on 8x8 pixels', profile: PROFILE, trace: 'a.trace.json' })).toBe(
      `profile of net on 8x8 pixels: 1,234.5 ms of the device in 4 dispatches, 41.3 GFLOP/s
host: encode 0.50 ms, upload 1.25 ms (4 KiB)
roofline: 90.3 GFLOP/s or 6.50 GB/s, as measured on this device just now

layer        makes       at        calls       ms   share  GFLOP/s   GB/s  roofline
body.*.conv  (64, h, w)  a.sr:3:5  1,024  1,200.0  97.0 %     42.5  0.250    47.1 %
lrelu        (64, h, w)  a.sr:4:5      1    34.50   2.8 %        -   3.00    46.0 %
2 more                                 2     0.01   0.2 %

kernel                calls       ms    share  GFLOP/s  GB/s  roofline
conv3x3_64_64_direct      4  1,234.5  100.0 %        -     -         -

trace, for ui.perfetto.dev or chrome://tracing: a.trace.json
`,
    );
  });

  test('of a training has its parts', () => {
    const groups = [{ group: 'forward', ...line(1, 1) }];
    const layers = [{ name: 'conv', group: 'forward', at: 'a.sr:1:1', ...line(1, 1) }];
    const text = printProfile({ of: 'a step', profile: { ...PROFILE, groups, layers }, trace: 't.json' });
    expect(text).toMatch(/\npart {5}calls .*\nforward {6}1 /);
    expect(text).toMatch(/\nlayer {2}part {5}at .*\nconv {3}forward {2}a\.sr:1:1 /);
  });

  test('as lines for machines has every row', () => {
    const lines = profileLines({ of: 'net', profile: PROFILE, trace: 'a.trace.json' });
    expect(lines).toHaveLength(1 + 4 + 1 + 2);
    expect(lines[0]).toMatchObject({ table: 'total', of: 'net', ceilings: PROFILE.ceilings, ms: 1234.5 });
    expect(lines[4]).toEqual({ table: 'layers', name: 'head', at: 'a.sr:1:1', ...line(0.002, 0.001) });
  });
});

describe('mistakes', () => {
  test.each([
    [
      'something else follows',
      ['run', '--profile', 'esrgan'],
      '--profile esrgan: the file of a trace ends in .json\n  = help: name one, `--profile trace.json`, or put `--profile` after everything else',
    ],
    [
      'a result without a name',
      [...run, '-i', paths['photos/a.png'], '-o', '-', '--profile'],
      '--profile: a result on standard output has no name that the trace could take\n  = help: name the trace',
    ],
    [
      'one trace of two stages',
      [...train, '--out', at('runs/two'), '--profile', at('one.json')],
      '2 stages are trained, and each has a trace of its own\n  = help: name no file, or one stage: --stage psnr',
    ],
  ])('%s', async (_, argv, message) => {
    const { code, err } = await src(argv);
    expect(err).toContain(message);
    expect(code).toBe(2);
  });
});

/** The names of the device's spans in a trace. */
function deviceSpans(path: string): string[] {
  const { traceEvents } = JSON.parse(readFileSync(path, 'utf8'));
  const spans = traceEvents.filter((one: { ph: string; tid: number }) => one.ph === 'X' && one.tid === 1);
  return spans.map(({ args }: { args: { kernel: string } }) => args.kernel);
}

describeOnDevice('--profile', ({ description }) => {
  const built = build();
  afterAll(() => built.remove());
  const src = (argv: readonly string[]) => start(built.main, argv).ended;

  test('of run: the first image, whose pixels are the same', async () => {
    const plain = await src([...run, '-i', at('photos'), '-o', at('plain')]);
    const { code, err } = await src([...run, '-i', at('photos'), '-o', at('large'), '--profile']);
    expect([plain.code, code]).toEqual([0, 0]);
    expect(err).toMatch(/profile of doubler on 12x12 pixels: [\d.]+ ms of the device in \d+ dispatches/);
    expect(err).toMatch(/\nconv\.1 +\(3, 2\*h, 2\*w\) +\S*doubler\.sr:4:3 +1 /);
    expect(err).not.toContain('profile of doubler on 9x9');
    expect(filesIn(at('large'))).toEqual(['a.png', 'a.trace.json', 'b.png']);
    for (const name of ['a.png', 'b.png'])
      expect(readFileSync(at(`large/${name}`))).toEqual(readFileSync(at(`plain/${name}`)));
    expect(deviceSpans(at('large/a.trace.json')).filter((name) => name.startsWith('conv'))).toHaveLength(2);
  });

  test('of run in tiles: all of them together', async () => {
    const trace = at('tiles.json');
    const argv = [
      ...run,
      '-i',
      paths['photos/a.png'],
      '-o',
      at('tiled.png'),
      '--tile',
      '6',
      '--profile',
      trace,
    ];
    const { code, out } = await src([...argv, '--json']);
    expect(code).toBe(0);
    const lines = out
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text));
    const layer = lines.find(({ table, name }) => table === 'layers' && name === 'conv.1');
    expect(layer).toMatchObject({ event: 'profile', calls: 4, shape: '(3, 2*h, 2*w)' });
    expect(lines.find(({ table }) => table === 'total').trace).toBe(trace);
    expect(deviceSpans(trace).filter((name) => name.startsWith('conv'))).toHaveLength(8);
  });

  test('of train: some steps of a stage', async () => {
    const argv = [...train, '--stage', 'psnr', '--steps', '4', '--out', at('runs/profiled'), '--profile'];
    const { code, err } = await src(argv);
    expect(code).toBe(0);
    expect(err).toMatch(
      /profile of a step of psnr \(mean of steps 3 to 4\): [\d.]+ ms of the device in \d+ dispatches/,
    );
    for (const part of ['forward', 'dgrad', 'wgrad', 'losses', 'optimizer'])
      expect(err).toMatch(new RegExp(`\n${part} +\\d`));
    expect(err).toMatch(/\ntiny\.head\.conv +wgrad +\S*tiny\.sr:4:12 /);
    const spans = deviceSpans(at('runs/profiled/psnr.trace.json'));
    expect(spans.filter((name) => name === 'adam')).toHaveLength(2);
  });

  test.runIf(description.kind === 'software' && isOrtInstalled())(
    'of run is of a device that would not have been chosen without it, and says so',
    async () => {
      const argv = [
        'run',
        paths['doubler.sr'],
        '-w',
        paths['doubler.safetensors'],
        '-i',
        paths['photos/a.png'],
      ];
      const { code, err } = await src([...argv, '-o', at('auto.png'), '--profile']);
      expect([code, err]).toEqual([0, expect.stringContaining('; without --profile, ONNX Runtime runs')]);
    },
  );

  test('of train needs steps', async () => {
    const argv = [...train, '--stage', 'psnr', '--steps', '2', '--out', at('runs/short'), '--profile'];
    const { code, err } = await src(argv);
    expect(err).toContain(
      'a profile needs 3 steps or more, and 2 are left\n  = help: train for longer: --steps 12',
    );
    expect(code).toBe(2);
  });
});
