// Training data on disk, in the program as it is installed: folders that are read, batches that come from threads, and
// `src prepare`, whose reduced versions are those that training makes.

import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { DataOptions, OpenData } from '../../cli/data-open.js';
import { decodeImage } from '../../cli/images/decode.js';
import { encodeImage } from '../../cli/images/encode.js';
import type { Io } from '../../cli/io.js';
import { render, type UserError } from '../../diagnostics.js';
import { realesrgan } from '../../dsl/degradations.js';
import { type Channels, type Image, newSamples } from '../../formats/image.js';
import { batchSource } from '../../train/data/batches.js';
import { crop, rgb8, shrink } from '../../train/data/rgb.js';
import { randomFor } from '../../train/random.js';
import { chunk, ihdr, SIGNATURE } from '../formats/png-fixture.js';
import { build, filesIn, type Outcome, start, temporaryFolder, writeFiles } from './harness.js';

const program = build();
const root = temporaryFolder();
afterAll(() => {
  program.remove();
  rmSync(root, { recursive: true });
});

// Threads run what is built.
const built = (file: string) => import(pathToFileURL(join(program.main, '..', file)).href);
const { openData }: { openData(options: DataOptions): Promise<OpenData> } = await built('data-open.js');
const { main }: { main(argv: readonly string[], io: Io): Promise<number> } = await built('program.js');

let folders = 0;
const newFolder = () => join(root, `f${folders++}`);

function noise(width: number, height: number, channels: Channels = 3, depth: 8 | 16 = 8): Image {
  const random = randomFor(width, height, channels);
  const data = newSamples(depth, width * height * channels);
  for (let i = 0; i < data.length; i++) data[i] = random.below(2 ** depth);
  return { width, height, channels, depth, data };
}

const png = (image: Image) => encodeImage(image, 'png');
const decoded = async (path: string) => decodeImage(path, readFileSync(path));

const OPTIONS = {
  seed: 1,
  stage: 'psnr',
  batch: 3,
  patch: 16,
  augment: ['flip', 'rot90'],
  degrade: { kind: 'bicubic', factor: 4 },
  usm: false,
} as const;

/** What `openData` throws, as it is shown; errors come from the built program, whose classes are its own. */
async function refusal(
  options: Pick<DataOptions, 'data' | 'dataLr'> & Partial<DataOptions>,
): Promise<string> {
  const error = await openData({ ...OPTIONS, ...options }).then(
    (data) => data.close().then(() => undefined),
    (thrown: UserError) => thrown,
  );
  expect(error?.name).toBe('UserError');
  return render(error!).replaceAll(root, '.');
}

describe('data', () => {
  test('batches of a thread are those of their numbers', async () => {
    const data = newFolder();
    const images = [noise(40, 33), noise(30, 52, 1), noise(24, 24, 4), noise(21, 30, 3, 16)];
    writeFiles(data, {
      'a.png': await png(images[0]!),
      'below/b.png': await png(images[1]!),
      'below/c.png': await png(images[2]!),
      'd.png': await png(images[3]!),
      '.hidden.png': 'no image',
      'notes.txt': 'left alone',
    });
    const open = await openData({ ...OPTIONS, usm: true, data });
    expect({ images: open.images, notes: open.notes }).toEqual({ images: 4, notes: [] });
    const source = {
      images: images.map(({ width, height }, i) => ({ name: String(i), width, height })),
      load: async (i: number) => images[i]!,
    };
    const here = batchSource(source, { ...OPTIONS, usm: true, cacheBytes: 2 ** 20 });
    for (const k of [0, 1, 2, 9, 0]) expect(await open.batch(k)).toEqual(await here.batch(k));
    await open.close();
  });

  test('batches of several threads, too', async () => {
    const data = newFolder();
    const picture = noise(40, 33);
    writeFiles(data, { 'a.png': await png(picture) });
    const options = { ...OPTIONS, batch: 1, degrade: realesrgan(4) };
    const open = await openData({ ...options, data });
    const source = { images: [{ name: 'a', width: 40, height: 33 }], load: async () => picture };
    const here = batchSource(source, { ...options, cacheBytes: 2 ** 20 });
    for (const k of [0, 1, 2]) expect(await open.batch(k)).toEqual(await here.batch(k));
    await open.close();
  });

  test.each([
    ['with the scale in their names', 'ax4.png', 'below/b_x4.png'],
    ['under the same names', 'a.png', 'below/b.png'],
  ])('reduced versions %s', async (_, a, b) => {
    const [data, dataLr] = [newFolder(), newFolder()];
    const [large, small] = [noise(33, 30), noise(20, 41)];
    writeFiles(data, { 'a.png': await png(large), 'below/b.png': await png(small) });
    const reduced = [noise(8, 7), noise(5, 10)];
    writeFiles(dataLr, {
      [a]: await png(reduced[0]!),
      [b]: await png(reduced[1]!),
      'more.png': await png(noise(4, 4)),
    });
    const open = await openData({ ...OPTIONS, data, dataLr });
    expect(open.notes).toEqual([`no original for ${join(dataLr, 'more.png')}: left out`]);
    const source = {
      images: [large, small].map(({ width, height }, i) => ({ name: String(i), width, height })),
      load: async (i: number) => [large, small][i]!,
      loadReduced: async (i: number) => reduced[i]!,
    };
    expect(await open.batch(4)).toEqual(await batchSource(source, { ...OPTIONS, cacheBytes: 0 }).batch(4));
    await open.close();
  });

  test('what cannot be used is said at once, by name', async () => {
    const data = newFolder();
    expect(await refusal({ data: join(root, 'nowhere') })).toBe(
      `error: ./nowhere: cannot be read: there is no such file or folder
  = help: check the spelling and the folder you are in
`,
    );
    mkdirSync(data);
    const name = data.replace(root, '.');
    expect(await refusal({ data })).toContain(`error: ${name}: no images in this folder\n  = it is empty\n`);
    writeFiles(data, { 'notes.txt': '' });
    expect(await refusal({ data })).toContain(`  = other files: ${name}/notes.txt\n`);
    expect(await refusal({ data: join(data, 'notes.txt') })).toContain(
      'this is a file, not a folder of images',
    );

    const whole = await png(noise(20, 20));
    writeFiles(data, {
      'empty.png': '',
      'half.png': whole.subarray(0, 500),
      'good.png': whole,
      'text.jpg': 'x',
    });
    const shown = await refusal({ data });
    expect(shown).toContain(`error: ${name}/empty.png: the file is empty\n`);
    expect(shown).toContain(`error: ${name}/half.png: the PNG is truncated\n`);
    expect(shown).toContain(`error: ${name}/text.jpg: this is not an image that can be read\n`);
    expect(shown).not.toContain('good.png');
  });

  test('links are followed, but not in circles', async () => {
    const [data, elsewhere] = [newFolder(), newFolder()];
    writeFiles(data, { 'a.png': await png(noise(20, 20)) });
    writeFiles(elsewhere, { 'b.png': await png(noise(20, 20)) });
    symlinkSync(elsewhere, join(data, 'more'));
    symlinkSync(join(elsewhere, 'b.png'), join(data, 'c.png'));
    const open = await openData({ ...OPTIONS, data });
    expect(open.images).toBe(3);
    await open.close();
    symlinkSync(data, join(elsewhere, 'back'));
    const name = data.replace(root, '.');
    expect(await refusal({ data })).toBe(
      `error: ${name}/more/back: this link leads back to ${name}, which it is in
  = help: remove the link
`,
    );
    rmSync(join(elsewhere, 'back'));
    symlinkSync('nowhere.png', join(data, 'lost.png'));
    expect(await refusal({ data })).toContain(`error: ${name}/lost.png: this link leads nowhere\n`);
    rmSync(join(data, 'lost.png'));
    symlinkSync('self.png', join(data, 'self.png'));
    expect(await refusal({ data })).toContain(
      `${name}/self.png: cannot be read: its symbolic links go in circles`,
    );
  });

  test.skipIf(process.getuid?.() === 0)('a file without permission', async () => {
    const data = newFolder();
    const { 'a.png': path } = writeFiles(data, { 'a.png': await png(noise(20, 20)) });
    chmodSync(path, 0);
    expect(await refusal({ data })).toContain('a.png: cannot be read: permission denied');
  });

  test('pictures smaller than a patch', async () => {
    const data = newFolder();
    writeFiles(data, { 'a.png': await png(noise(20, 15)) });
    expect(await refusal({ data })).toContain('error: the only image is smaller than a patch of 16x16\n');
    writeFiles(data, { 'b.png': await png(noise(20, 16)) });
    const open = await openData({ ...OPTIONS, data });
    expect({ images: open.images, notes: open.notes }).toEqual({
      images: 1,
      notes: [`1 image is left out, smaller than a patch of 16x16: ${join(data, 'a.png')} (20x15)`],
    });
    await open.close();
  });

  test('reduced versions that are missing or do not fit', async () => {
    const [data, dataLr] = [newFolder(), newFolder()];
    writeFiles(data, { 'a.png': await png(noise(20, 22)), 'b.png': await png(noise(40, 20)) });
    writeFiles(dataLr, { 'ax4.png': await png(noise(5, 5)) });
    const [hr, lr] = [data, dataLr].map((path) => path.replace(root, '.'));
    expect(await refusal({ data, dataLr })).toBe(
      `error: ${lr}: 1 of 2 images have no reduced version here
  = without one: ${hr}/b.png
  = that of ${hr}/b.png would be called b, bx4 or b_x4
  = help: add them, or leave out --data-lr to have them made by the recipe
`,
    );
    writeFiles(dataLr, { 'b.png': await png(noise(40, 20)), 'ax4.png': await png(noise(5, 6)) });
    const shown = await refusal({ data, dataLr });
    expect(shown).toContain(`error: ${lr}/ax4.png: this is not 1/4 of its original
  = it has 5x6 pixels; ${hr}/a.png has 20x22, 1/4 of that is 5x5\n`);
    expect(shown).toContain(`error: ${lr}/b.png: this is not 1/4 of its original\n`);
  });

  test('a picture that turns out to be damaged is named by the batch that needs it', async () => {
    const data = newFolder();
    const header = ihdr({ width: 20, height: 20, colourType: 2, bitDepth: 8 });
    const pixels = chunk('IDAT', new Uint8Array(400).fill(7));
    writeFiles(data, { 'a.png': Buffer.concat([SIGNATURE, header, pixels, chunk('IEND')]) });
    const open = await openData({ ...OPTIONS, data });
    const error = await open.batch(0).catch((thrown: UserError) => thrown);
    expect(render(error as UserError)).toContain(`error: ${join(data, 'a.png')}: the PNG is broken\n`);
    await open.close();
    await expect(open.batch(50)).rejects.toThrow('the thread was closed');
  });
});

async function prepare(...argv: string[]): Promise<Outcome> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const texts = [text(stdout), text(stderr)] as const;
  const code = await main(['prepare', ...argv], {
    stdin,
    stdout,
    stderr,
    signal: new AbortController().signal,
  });
  stdout.end();
  stderr.end();
  return { code, out: await texts[0], err: await texts[1] };
}

describe('src prepare', () => {
  test('makes what training makes, bit for bit', async () => {
    const [input, output] = [newFolder(), newFolder()];
    const images = { 'a.png': noise(43, 38), 'sub/b.png': noise(29, 36, 2), 'c.png': noise(30, 30, 3, 16) };
    for (const [name, image] of Object.entries(images)) writeFiles(input, { [name]: await png(image) });
    writeFiles(input, { 'd.png': await png(noise(30, 3)) });
    const { code, out, err } = await prepare('-i', input, '-o', output);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toContain(`1 image left out, too small: ${join(input, 'd.png')} (30x3)\n3 images to do\n`);
    expect(filesIn(output)).toEqual([
      'hr/a.png',
      'hr/c.png',
      'hr/sub/b.png',
      'lr_x4/a.png',
      'lr_x4/c.png',
      'lr_x4/sub/b.png',
      'meta_info.txt',
      'prepare.json',
    ]);
    for (const [name, image] of Object.entries(images)) {
      const { width, height } = image;
      const area = { x: 0, y: 0, width: width - (width % 4), height: height - (height % 4) };
      const hr = crop(rgb8(image), area);
      expect(await decoded(join(output, 'hr', name))).toEqual(hr);
      expect(await decoded(join(output, 'lr_x4', name))).toEqual(shrink(hr, 4));
    }
    expect(readFileSync(join(output, 'meta_info.txt'), 'utf8')).toBe(
      'a.png (36,40,3)\nc.png (28,28,3)\nsub/b.png (36,28,3)\n',
    );
    // The same batches from the originals and from what was made of them.
    rmSync(join(input, 'd.png'));
    const made = await openData({ ...OPTIONS, data: input });
    const paired = await openData({
      ...OPTIONS,
      data: join(output, 'hr'),
      dataLr: join(output, 'lr_x4'),
    });
    for (const k of [0, 1, 2, 3]) expect(await paired.batch(k)).toEqual(await made.batch(k));
    await Promise.all([made.close(), paired.close()]);
  });

  test('cuts sub-images out of originals and of their reductions', async () => {
    const [input, output] = [newFolder(), newFolder()];
    const image = noise(59, 50);
    writeFiles(input, { 'a.png': await png(image), 'small.png': await png(noise(30, 31)) });
    const { err } = await prepare('-i', input, '-o', output, '--subimages', '32', '--step', '16');
    expect(err).toContain(`1 image left out, too small: ${join(input, 'small.png')} (30x31)\n`);
    const hr = crop(image, { x: 0, y: 0, width: 56, height: 48 });
    const lr = shrink(hr, 4);
    // Columns 0, 16, 24 (the end), rows 0, 16.
    const fifth = { x: 16, y: 16 };
    expect(filesIn(join(output, 'lr_x4'))).toHaveLength(6);
    expect(await decoded(join(output, 'hr/a_s005.png'))).toEqual(
      crop(hr, { ...fifth, width: 32, height: 32 }),
    );
    expect(await decoded(join(output, 'lr_x4/a_s005.png'))).toEqual(
      crop(lr, { x: 4, y: 4, width: 8, height: 8 }),
    );
    expect(await decoded(join(output, 'hr/a_s003.png'))).toEqual(
      crop(hr, { x: 24, y: 0, width: 32, height: 32 }),
    );
  });

  test('adds smaller copies, degrades, and enlarges by another scale', async () => {
    const [input, output] = [newFolder(), newFolder()];
    writeFiles(input, { 'a.png': await png(noise(64, 48)) });
    const argv = ['-i', input, '--scale', '2', '--multiscale', '--degrade', 'realesrgan', '-q'];
    expect(await prepare(...argv, '-o', output)).toMatchObject({ code: 0, err: '', out: '' });
    expect(readFileSync(join(output, 'meta_info.txt'), 'utf8')).toBe(
      'a.png (48,64,3)\naT0.png (36,48,3)\naT1.png (24,32,3)\naT2.png (16,20,3)\n',
    );
    const first = await decoded(join(output, 'lr_x2/aT1.png'));
    expect(first).toMatchObject({ width: 16, height: 12 });
    const again = newFolder();
    await prepare(...argv, '-o', again);
    expect(await decoded(join(again, 'lr_x2/aT1.png'))).toEqual(first);
    const other = newFolder();
    await prepare(...argv, '-o', other, '--seed', '5');
    expect(await decoded(join(other, 'lr_x2/aT1.png'))).not.toEqual(first);
  });

  test('goes on where it was, and only with the same settings', async () => {
    const input = newFolder();
    const output = join(input, 'set');
    const paths = writeFiles(input, { 'a.png': await png(noise(20, 20)), 'b.png': await png(noise(24, 20)) });
    await prepare('-i', input, '-o', output);
    const old = statSync(join(output, 'hr/a.png')).mtimeMs;
    rmSync(join(output, 'lr_x4/b.png'));
    // What is made lies in the input folder here, and is no input.
    expect((await prepare('-i', input, '-o', output)).err).toContain('1 image to do, 1 image already done');
    expect(statSync(join(output, 'hr/a.png')).mtimeMs).toBe(old);
    expect(filesIn(output)).toContain('lr_x4/b.png');
    const later = new Date(Date.now() + 5000);
    utimesSync(paths['a.png'], later, later);
    expect((await prepare('-i', input, '-o', output, '--json')).out).toContain(
      '{"event":"batch","images":1,"skipped":1,"ignored":0}\n',
    );
    expect((await prepare('-i', input, '-o', output, '--overwrite')).err).toContain('2 images to do');
    expect(await prepare('-i', input, '-o', output, '--subimages', '16')).toMatchObject({
      code: 2,
      err: `error: ${output}: this data set was made with other settings
  = they are in ${join(output, 'prepare.json')}
  = help: repeat the options it was made with, or choose another --output
`,
    });
  });

  test('mistakes', async () => {
    const [input, output] = [newFolder(), newFolder()];
    writeFiles(input, { 'a.png': await png(noise(20, 20)), 'sub/a.png': await png(noise(20, 20)) });
    const refused = async (...argv: string[]) => {
      const { code, err } = await prepare('-i', input, '-o', output, ...argv);
      expect(code).toBe(2);
      return err;
    };
    expect(await refused('--step', '8')).toContain('error: --step belongs to --subimages\n');
    expect(await refused('--subimages', '30')).toContain(
      'error: --subimages 30: this is not a multiple of --scale 4\n  = help: write --subimages 32,',
    );
    expect(await refused('--subimages', '24')).toContain('no image is as large as 24x24 pixels\n');
    expect(await refused('--degrade', 'noise')).toContain("error: option '--degrade <how>'");
    writeFiles(input, { 'sub/a.jpg': 'x' });
    expect(await refused()).toContain('a.jpg: this is not an image that can be read');
    rmSync(join(input, 'sub/a.jpg'));
    symlinkSync('a.png', join(input, 'sub/a.tif'));
    expect(await refused()).toContain('would get this name');
    rmSync(join(input, 'sub/a.tif'));
    writeFiles(output, { 'hr/other.png': '' });
    expect(await refused()).toContain(`${join(output, 'hr')}: this folder is there already`);
  });

  test('can be interrupted', async () => {
    const [input, output] = [newFolder(), newFolder()];
    const large = await png(noise(500, 500));
    for (let i = 0; i < 6; i++) writeFiles(input, { [`${i}.png`]: large });
    const { child, ended } = start(program.main, ['prepare', '-i', input, '-o', output]);
    child.stderr.once('data', () => setTimeout(() => child.kill('SIGINT'), 200));
    const { code, err } = await ended;
    expect(code).toBe(130);
    expect(err).toMatch(/stopped after \d images?.*; the same command goes on from there/);
    expect(filesIn(output).filter((file) => file.includes('.tmp') || file === 'meta_info.txt')).toEqual([]);
    expect((await prepare('-i', input, '-o', output)).code).toBe(0);
    expect(filesIn(output)).toHaveLength(14);
  });
});
