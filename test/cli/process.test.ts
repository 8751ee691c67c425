// The program as a process: images in and out, folders, pipes, signals, exit codes. On a network that doubles pixels
// exactly, so that every sample of a result is known.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, expect, test } from 'vitest';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import { type Channels, type Image, newSamples } from '../../formats/image.js';
import { describeOnDevice, onDevice } from '../on-device.js';
import { build, DOUBLER, filesIn, identityWeights, start, temporaryFolder, writeFiles } from './harness.js';

const program = build();
const folder = temporaryFolder();
afterAll(() => {
  program.remove();
  rmSync(folder, { recursive: true });
});
const network = writeFiles(folder, { 'doubler.sr': DOUBLER, 'w.safetensors': identityWeights(DOUBLER) });
const doubler = ['run', network['doubler.sr'], '-w', network['w.safetensors'], ...onDevice, '-i'];
const run = (argv: readonly string[], input?: Uint8Array) => start(program.main, argv, input).ended;

/** Samples that are all different; opaque, because colour under transparency is not kept. */
function sample(width: number, height: number, channels: Channels, depth: 8 | 16): Image {
  const data = newSamples(depth, width * height * channels);
  const white = depth === 8 ? 255 : 65535;
  const alpha = channels === 2 || channels === 4;
  for (let i = 0; i < data.length; i++) {
    data[i] =
      alpha && i % channels === channels - 1 ? white : Math.round(((i + 1) / (data.length + 1)) * white);
  }
  return { width, height, channels, depth, data };
}

/** Every pixel four times. */
function doubled(image: Image): Image['data'] {
  const { width, height, channels, depth, data } = image;
  const out = newSamples(depth, 4 * data.length);
  for (let y = 0; y < 2 * height; y++) {
    for (let i = 0; i < 2 * width * channels; i++) {
      const x = Math.floor(i / channels / 2);
      out[y * 2 * width * channels + i] = data[((y >> 1) * width + x) * channels + (i % channels)]!;
    }
  }
  return out;
}

async function expectDoubled(bytes: Uint8Array, image: Image): Promise<void> {
  const { width, height, channels, depth, data } = await decodeImage('result', bytes);
  expect({ width, height, channels, depth }).toEqual({
    width: 2 * image.width,
    height: 2 * image.height,
    channels: image.channels,
    depth: image.depth,
  });
  expect(data).toEqual(doubled(image));
}

test('the version', async () => {
  expect(await run(['--version'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    err: '',
  });
});

test('mistakes end with exit code 2, on stderr', async () => {
  const { code, out, err } = await run(['shwo']);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toBe("error: unknown command 'shwo'\n  = help: did you mean show?\n");
});

test('a reader that leaves early is no error', async () => {
  const child = spawn(process.execPath, [program.main, 'show']);
  child.stdout.destroy();
  const [err, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect({ code, err }).toEqual({ code: 128 + constants.signals.SIGPIPE, err: '' });
});

describeOnDevice('run', () => {
  const rgb = sample(5, 4, 3, 8);
  let folders = 0;
  const newFolder = () => join(folder, `photos${folders++}`);

  test('a file: its result beside it, in its format', async () => {
    const photos = newFolder();
    const { 'cat.png': input } = writeFiles(photos, { 'cat.png': await encodeImage(rgb, 'png') });
    const { code, out, err } = await run([...doubler, input]);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toMatch(/cat\.png -> .*cat_x2\.png {2}10x8, [\d.]+ s\n$/);
    await expectDoubled(readFileSync(join(photos, 'cat_x2.png')), rgb);
    expect(filesIn(photos)).toEqual(['cat.png', 'cat_x2.png']);
  });

  test('a folder: mirrored, one bad image reported, what is done skipped', async () => {
    const photos = newFolder();
    const gray16 = sample(3, 3, 1, 16);
    const rgba = sample(4, 2, 4, 8);
    const good = await encodeImage(rgb, 'png');
    const { 'b/bad.png': bad } = writeFiles(photos, {
      'a.png': good,
      'b/bad.png': good.subarray(0, good.length - 20),
      'b/gray.png': await encodeImage(gray16, 'png'),
      'b/c/alpha.PNG': await encodeImage(rgba, 'png'),
      'notes.txt': 'no image',
    });
    const first = await run([...doubler, photos]);
    expect(first.code).toBe(2);
    expect(first.err).toMatch(/^4 images to do, 1 other file left alone\n/);
    expect(first.err).toMatch(new RegExp(`^error: ${bad}: `, 'm'));
    expect(first.err).toMatch(/^3 images, 1 failed in /m);
    expect(first.err).toContain(`error: 1 of 4 images could not be upscaled\n  = ${bad}\n`);
    const results = `${photos}_x2`;
    expect(filesIn(results)).toEqual(['a.png', 'b/c/alpha.PNG', 'b/gray.png']);
    await expectDoubled(readFileSync(join(results, 'a.png')), rgb);
    await expectDoubled(readFileSync(join(results, 'b/gray.png')), gray16);
    await expectDoubled(readFileSync(join(results, 'b/c/alpha.PNG')), rgba);

    // Then the bad one is mended, and another is changed.
    writeFiles(photos, { 'b/bad.png': good });
    utimesSync(join(photos, 'a.png'), new Date(), new Date(Date.now() + 5000));
    const kept = statSync(join(results, 'b/gray.png')).mtimeMs;
    const second = await run([...doubler, photos, '--quiet']);
    expect(second).toMatchObject({ code: 0, out: '', err: '' });
    expect(filesIn(results)).toEqual(['a.png', 'b/bad.png', 'b/c/alpha.PNG', 'b/gray.png']);
    expect(statSync(join(results, 'b/gray.png')).mtimeMs).toBe(kept);
  });

  test('standard input to standard output', async () => {
    const gray = sample(2, 3, 2, 16);
    const { code, bytes } = await run([...doubler, '-', '-o', '-'], await encodeImage(gray, 'png'));
    expect(code).toBe(0);
    await expectDoubled(bytes, gray);
  });

  test('--json, --tile, --scale', async () => {
    const photos = newFolder();
    const { 'cat.png': input } = writeFiles(photos, {
      'cat.png': await encodeImage(sample(40, 30, 3, 8), 'png'),
    });
    const { code, out, err } = await run([...doubler, input, '--json', '--tile', '16', '--scale', '1.5']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const events = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ event: 'ready', network: 'doubler', precision: 'f32' });
    expect(events.at(-3)).toMatchObject({ event: 'progress', fraction: 1 });
    const output = join(photos, 'cat_x1.5.png');
    expect(events.at(-2)).toMatchObject({ event: 'done', input, output, width: 60, height: 45 });
    expect(events.at(-1)).toMatchObject({ event: 'end', of: 1, done: 1, failed: 0 });
    expect(await decodeImage(output, readFileSync(output))).toMatchObject({ width: 60, height: 45 });
  });

  test('what the format cannot hold is told before the work', async () => {
    const photos = newFolder();
    const { 'a.png': input } = writeFiles(photos, { 'a.png': await encodeImage(sample(4, 4, 4, 8), 'png') });
    const { code, err } = await run([...doubler, input, '-o', join(photos, 'a.jpg')]);
    expect(code).toBe(2);
    expect(err).toContain('which JPEG cannot hold');
    expect(err).not.toContain('%');
    expect(filesIn(photos)).toEqual(['a.png']);
  });

  test('in ONNX Runtime: a folder, tiles, and what is said of it', async () => {
    const photos = newFolder();
    const gray16 = sample(7, 3, 1, 16);
    writeFiles(photos, { 'a.png': await encodeImage(rgb, 'png'), 'b.png': await encodeImage(gray16, 'png') });
    const argv = ['run', network['doubler.sr'], '-w', network['w.safetensors'], '-i', photos];
    const cpu = ['--device', 'cpu', '--tile', '4', '--precision', 'f16', '--json'];
    const { code, out, err } = await run([...argv, ...cpu]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const [, ready] = out.split('\n').map((line) => (line ? JSON.parse(line) : undefined));
    expect(ready).toMatchObject({ event: 'ready', kind: 'cpu', precision: 'f32' });
    expect(ready.summary).toMatch(/^ONNX Runtime [\d.]+ on the CPU, in f32$/);
    await expectDoubled(readFileSync(join(`${photos}_x2`, 'a.png')), rgb);
    await expectDoubled(readFileSync(join(`${photos}_x2`, 'b.png')), gray16);
  });

  test.each([
    { name: 'a device', device: onDevice },
    { name: 'ONNX Runtime', device: ['--device', 'cpu', '--tile', '32'] },
  ])('Ctrl-C ends it promptly and leaves nothing half-written: $name', async ({ device }) => {
    const photos = newFolder();
    const slow = `generator slow : (3, h, w) -> (3, 2*h, 2*w) {
      upsample(2)
      conv(32) x8
      conv(3)
    }\n`;
    const picture = await encodeImage(sample(150, 150, 3, 8), 'png');
    const files = writeFiles(photos, {
      'slow.sr': slow,
      'slow.safetensors': identityWeights(slow),
      'in/1.png': picture,
      'in/2.png': picture,
    });
    const output = join(photos, 'out');
    const argv = [
      'run',
      ...device,
      files['slow.sr'],
      '-w',
      files['slow.safetensors'],
      '-i',
      join(photos, 'in'),
      '-o',
      output,
    ];
    const { child, ended } = start(program.main, [...argv, '--json']);
    let signalled = 0;
    child.stdout.on('data', (chunk) => {
      if (signalled || !String(chunk).includes('"progress"')) return;
      signalled = performance.now();
      child.kill('SIGINT');
    });
    const { code, err } = await ended;
    expect(signalled).toBeGreaterThan(0);
    expect(performance.now() - signalled).toBeLessThan(5000);
    expect({ code, err }).toEqual({ code: 130, err: '' });
    expect(filesIn(output)).toEqual([]);
  });
});
