// `src train` as people start it: on a folder of images, interrupted, taken up again, with every mistake that can be
// made beforehand.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeImage } from '../../cli/images/encode.js';
import { readSafetensors } from '../../formats/safetensors.js';
import { decodeCheckpoint, encodeCheckpoint } from '../../train/checkpoint.js';
import { describeOnDevice } from '../on-device.js';
import { TINY } from '../train/tiny.js';
import { build, filesIn, type Started, src, start, temporaryFolder, writeFiles } from './harness.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));

/** Smooth colours that differ from image to image. */
function picture(side: number, kind: number): Promise<Uint8Array> {
  const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % side, Math.floor(i / 3 / side)];
    return 128 + 100 * Math.sin((x * (kind + 1) + y * (3 - kind)) / 5 + (i % 3));
  });
  return encodeImage({ width: side, height: side, channels: 3, depth: 8, data }, 'png');
}

const paths = writeFiles(folder, {
  'tiny.sr': TINY,
  'perceptual.sr': TINY.replace(
    'train {',
    'perception vgg = vgg19("nowhere.pth")\ntrain {\n  stage vgg { minimize: perceptual(vgg.conv1_2); steps: 1; adam(lr=1e-3) }',
  ),
  'plain.sr': TINY.slice(0, TINY.indexOf('discriminator')),
  'data/a.png': await picture(40, 0),
  'data/b.png': await picture(33, 1),
  'data/c.png': await picture(48, 2),
  'other/a.png': await picture(40, 0),
  'other/b.png': await picture(34, 1),
  'other/c.png': await picture(48, 2),
  'small/a.png': await picture(12, 0),
  'empty/notes.txt': 'no image',
  'net.safetensors': new Uint8Array(8),
});
const [tiny, data] = [paths['tiny.sr'], join(folder, 'data')];
/** `psnr-12.safetensors` -> 12 */
const stepsIn = (file: string) => Number(/-(\d+)\.safetensors$/.exec(file)?.[1] ?? 0);
const run = (name: string) => join(folder, 'runs', name);

describe('mistakes', () => {
  const [bare, to, from] = [[tiny], ['--out', run('mistakes')], ['--data', data]];
  test.each([
    ['no data', [...bare, ...to], 'what to learn from? --data is missing'],
    ['no folder', [...bare, ...from], 'where to? --out is missing'],
    ['an unknown stage', [...bare, ...from, ...to, '--stage', 'psrn'], 'help: did you mean `psnr`?'],
    [
      'a patch that does not fit',
      [...bare, ...from, ...to, '--patch', '15'],
      "a patch of 15 is no multiple of 2, the generator's scale\n  = help: use 16",
    ],
    ['an empty name', [...bare, ...from, '--out', ''], 'where to? --out is missing'],
    [
      'a part of a step',
      [...bare, ...from, ...to, '--steps', '0.5'],
      '--steps 0.5: this is not a whole number above 0\n  = help: write it like `64`, `2000` or `200k`',
    ],
    ['no steps', [...bare, ...from, ...to, '--steps', '0'], '--steps 0: this is not a whole number above 0'],
    [
      'no amount',
      [...bare, ...from, ...to, '--memory', 'much'],
      '--memory much: this is no amount of memory',
    ],
    [
      'nothing to resume',
      [...bare, ...from, ...to, '--resume'],
      'no checkpoint of psnr or gan to go on from',
    ],
    ['a file as folder', [...bare, ...from, '--out', tiny], `${tiny}: this is a file, not the folder`],
    ['no such data', [...bare, ...to, '--data', join(folder, 'nowhere')], 'there is no such file or folder'],
    ['data without images', [...bare, ...to, '--data', join(folder, 'empty')], 'no images'],
    ['small images', [...bare, ...to, '--data', join(folder, 'small')], 'smaller than a patch of 16x16'],
    ['no recipe', [paths['plain.sr'], ...from, ...to], 'plain.sr does not say how to train'],
    ['no VGG19', [paths['perceptual.sr'], ...from, ...to], '`src fetch vgg19` downloads them'],
  ])('%s', async (_, argv, message) => {
    const { code, out, err } = await src(['train', ...argv]);
    expect(err).toContain(message);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).not.toMatch(/\n\s+at /);
  });
});

describeOnDevice('a training', () => {
  const program = build();
  afterAll(() => program.remove());
  const train = (name: string, ...more: readonly string[]): Started =>
    start(program.main, ['train', tiny, '--data', data, '--out', run(name), '--json', ...more]);

  /** Lets it run until it has saved this many steps. */
  async function untilSaved(name: string, steps: number): Promise<void> {
    const checkpoints = join(run(name), 'checkpoints');
    const saved = () => (existsSync(checkpoints) ? filesIn(checkpoints) : []).map(stepsIn);
    while (!saved().some((step) => step >= steps)) await setTimeout(20);
  }

  const checkpoint = (name: string, at: string) =>
    readFileSync(join(run(name), 'checkpoints', `${at}.safetensors`));
  const events = (out: string) =>
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  test('all stages, then the blend; a second time there is nothing to do', async () => {
    const { code, out, err } = await train('whole').ended;
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const told = events(out);
    expect(
      told.map(({ event }) => event).filter((event) => !['metrics', 'checkpoint'].includes(event)),
    ).toEqual(['device', 'stage', 'end', 'stage', 'end', 'blend']);
    const [first, second] = told.filter(({ event }) => event === 'stage');
    expect(first).toMatchObject({
      stage: 'psnr',
      step: 0,
      steps: 20,
      from: 'random values',
      loss: 'l1',
      images: 3,
    });
    expect(second).toMatchObject({
      stage: 'gan',
      from: 'psnr after 20 steps',
      loss: 'l1 + 1e-2 * gan(critic)',
    });
    const losses = told.flatMap(({ event, metrics }) => (event === 'metrics' ? [metrics.loss.total] : []));
    expect(losses).toHaveLength(26);
    expect(losses[19]).toBeLessThan(losses[0]);

    const weights = (name: string) => {
      const file = `${name}.safetensors`;
      return readSafetensors(file, readFileSync(join(run('whole'), 'weights', file))).tensors;
    };
    const [psnr, gan, half] = ['psnr', 'gan', 'half'].map(weights);
    for (const [name, { data: values }] of half!) {
      const [a, b] = [psnr!.get(name)!.data, gan!.get(name)!.data];
      expect(values).toEqual(values.map((_, i) => Math.fround(0.5 * a[i]! + 0.5 * b[i]!)));
    }

    const again = await train('whole').ended;
    expect(again.code).toBe(0);
    expect(events(again.out).map(({ event, text }) => text ?? event)).toEqual([
      expect.stringContaining('psnr: its 20 steps are done'),
      expect.stringContaining('gan: its 6 steps are done'),
      'blend',
    ]);
  });

  test('people are told what is trained and how well', async () => {
    const argv = ['train', tiny, '--data', data, '--val', data, '--out', run('told'), '--stage', 'psnr'];
    const { code, out, err } = await start(program.main, [...argv, '--steps', '2', '--validate', '1']).ended;
    expect({ code, out }).toEqual({ code: 0, out: '' });
    const lines = err.trim().split('\n').slice(1); // after the device
    expect(lines).toEqual([
      expect.stringMatching(/^stage {3}psnr: 2 steps, from random values$/),
      'loss    l1',
      'data    4 patches of 16x16, from 3 images',
      expect.stringMatching(/^step {4}\d+ dispatches of \d+ kernels, f32$/),
      expect.stringMatching(/^memory {2}\d+ KiB: \d+ KiB for what is trained, \d+ KiB for what is computed/),
      ...['1', '2'].map((step) =>
        expect.stringMatching(
          new RegExp(`^psnr ${step}: PSNR-Y [\\d.]+ dB \\(bicubic [\\d.]+, [-+][\\d.]+\\), SSIM-Y `),
        ),
      ),
      expect.stringMatching(/^psnr: 2 of 2 steps in [\d.]+ s -> .*runs\/told\/weights\/psnr.safetensors$/),
    ]);
    expect(filesIn(join(run('told'), 'samples'))).toEqual(['psnr-1.png', 'psnr-2.png']);
  });

  test('interrupted, it saves and says so; taken up again it gives the same bits', async () => {
    const started = train('interrupted', '--stage', 'psnr', '--steps', '100000', '--log', '1');
    const recorded = join(run('interrupted'), 'metrics.jsonl');
    while (!existsSync(recorded) || !readFileSync(recorded, 'utf8').includes('"step":3,'))
      await setTimeout(20);
    started.child.kill('SIGINT');
    expect((await started.ended).code).toBe(130);
    const last = JSON.parse(readFileSync(recorded, 'utf8').trim().split('\n').at(-1)!);
    expect(filesIn(join(run('interrupted'), 'checkpoints'))).toEqual([`psnr-${last.step}.safetensors`]);
    expect(existsSync(join(run('interrupted'), 'lock'))).toBe(false);

    const steps = last.step + 8;
    const rest = ['--stage', 'psnr', '--steps', String(steps)];
    expect((await train('interrupted', ...rest).ended).code).toBe(0);
    expect((await train('uninterrupted', ...rest).ended).code).toBe(0);
    const [a, b] = ['interrupted', 'uninterrupted'].map((name) => checkpoint(name, `psnr-${steps}`));
    expect(a!.equals(b!)).toBe(true);
  });

  test('killed, it goes on from the last checkpoint to the same bits', async () => {
    const psnr = ['--stage', 'psnr', '--log', '1', '--steps'];
    const started = train('killed', ...psnr, '100000', '--checkpoint', '4');
    await untilSaved('killed', 12);
    started.child.kill('SIGKILL');
    await started.ended;
    const steps = String(Math.max(...filesIn(join(run('killed'), 'checkpoints')).map(stepsIn)) + 8);
    const { code, out } = await train('killed', ...psnr, steps).ended;
    expect(code).toBe(0);
    expect(events(out)[0]).toMatchObject({
      event: 'note',
      text: expect.stringContaining('its lock is taken over'),
    });
    expect((await train('alive', ...psnr, steps).ended).code).toBe(0);
    const [killed, alive] = ['killed', 'alive'].map((name) => checkpoint(name, `psnr-${steps}`));
    expect(killed!.equals(alive!)).toBe(true);
    const metrics = (name: string) =>
      readFileSync(join(run(name), 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .map(({ step, loss }) => [step, loss.total]);
    expect(metrics('killed')).toEqual(metrics('alive'));
  });

  test('all of its stages keep the kernels that it began with', async () => {
    expect((await train('tuned', '--stage', 'psnr', '--steps', '1').ended).code).toBe(0);
    const path = join(run('tuned'), 'checkpoints/psnr-1.safetensors');
    const { state, settings } = (await decodeCheckpoint(path, new Uint8Array(readFileSync(path))))!;
    expect(state.kernels).toEqual({ adapter: expect.any(String), tuned: {} });
    const kernels = {
      adapter: state.kernels!.adapter,
      tuned: { 'conv3x3 8>8': { variant: 'direct' } },
    } as const;
    writeFileSync(path, await encodeCheckpoint({ state: { ...state, kernels }, settings }));

    const { code, out } = await train('tuned', '--stage', 'gan', '--steps', '1').ended;
    expect(code).toBe(0);
    const notes = events(out).flatMap(({ event, text }) => (event === 'note' ? [text] : []));
    expect(notes).toEqual([expect.stringContaining('gan: it keeps the kernels that training began with')]);
    const after = await decodeCheckpoint('gan', new Uint8Array(checkpoint('tuned', 'gan-1')));
    expect(after!.state.kernels).toEqual(kernels);
  });

  test('its gradients can be checked', async () => {
    const { code, out, err } = await src(['check', '--gradients', tiny]);
    expect(code).toBe(0);
    expect(err).toContain('random parameters');
    const lines = out.trim().split('\n');
    expect(lines.every((line) => /^ok {5}\S+ of 1e-4 {2}(psnr|gan), (tiny|critic)/.test(line))).toBe(true);
    expect(lines.at(-1)).toMatch(/gan, critic.batchnorm: 2 tensors$/);
  });

  test('other settings are refused, and said', async () => {
    const { code, out } = await train('alive', '--stage', 'psnr', '--batch', '2', '--precision', 'f16').ended;
    expect(code).toBe(2);
    const [{ message, notes }] = JSON.parse(out).errors;
    expect(message).toContain('other things are trained now: batch, precision');
    expect(notes).toContain('batch: 4 then, 2 now');

    const others = await train('alive', '--stage', 'psnr', '--data', join(folder, 'other')).ended;
    expect(others.code).toBe(2);
    expect(JSON.parse(others.out).errors[0].message).toMatch(/other things are trained now: images$/);
  });

  test('weights that are given are for new trainings, and come from no checkpoint', async () => {
    const init = join(run('alive'), 'checkpoints/psnr-20.safetensors');
    const { code, out } = await train('fresh', '--stage', 'psnr', '--init', init).ended;
    expect(code).toBe(2);
    const [{ message, help }] = JSON.parse(out).errors;
    expect(message).toBe(`${init}: this is a checkpoint of a training, not the weights of a network`);
    expect(help).toContain(`${run('alive')} stands for the newest of them`);

    const again = await train('whole', '--stage', 'psnr', '--init', run('whole')).ended;
    expect(events(again.out)[0].text).toContain('psnr: it goes on from its checkpoint');
  });

  test('a stage that starts from one that is not there', async () => {
    const { code, out } = await train('nothing', '--stage', 'gan').ended;
    expect(code).toBe(2);
    const [{ message, help }] = JSON.parse(out).errors;
    expect(message).toContain('stage `gan` starts from `psnr`, which was not trained in');
    expect(help).toContain(`src train ${tiny} --data ${data} --out ${run('nothing')} --json --stage psnr`);

    const init = join(run('whole'), 'weights/psnr.safetensors');
    const begun = await train('nothing', '--stage', 'gan', '--steps', '1', '--init', init).ended;
    expect(events(begun.out).find(({ event }) => event === 'stage')).toMatchObject({ from: init });
  });
});
