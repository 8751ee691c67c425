// Commands in this process: what they print, what they write, and what every mistake looks like.

import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeImage } from '../../cli/images/encode.js';
import { main } from '../../cli/program.js';
import { readWeights } from '../../formats/detect.js';
import { writeSafetensors } from '../../formats/safetensors.js';
import { DOUBLER, filesIn, identityWeights, src, temporaryFolder, writeFiles } from './harness.js';

const FIXTURES = join(import.meta.dirname, '../fixtures/weights');
const folder = temporaryFolder();
const weights = identityWeights(DOUBLER);
const image = { width: 2, height: 2, channels: 3, depth: 8, data: new Uint8Array(12) } as const;
const paths = writeFiles(folder, {
  'doubler.sr': DOUBLER,
  'doubler.safetensors': weights,
  'short.safetensors': weights.subarray(0, 200),
  'wide.safetensors': identityWeights(DOUBLER, { features: 5 }),
  'mistake.sr': DOUBLER.replace('upsample', 'upsamlpe'),
  'latin1.sr': Buffer.from('// caf\xe9\n', 'latin1'),
  'image.png': await encodeImage(image, 'png'),
  'notes.txt': 'no image',
  'photos/a.png': await encodeImage(image, 'png'),
  'photos/a.tif': await encodeImage(image, 'tiff'),
  'notes/notes.txt': 'no image',
  'zero.safetensors': identityWeights(DOUBLER, {}, 0),
  'escape.safetensors': writeSafetensors(
    new Map([['\x1b[31mred', { shape: [1], dtype: 'f32', data: new Float32Array(1) }]]),
  ),
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The error of a command line that must end with exit code 2, say nothing else and show no stack. */
async function errorOf(...argv: readonly string[]): Promise<string> {
  const before = filesIn(folder);
  const { code, out, err } = await src(argv);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^error: /);
  expect(err).not.toMatch(/\n\s+at /);
  expect(filesIn(folder)).toEqual(before);
  return err;
}

describe('the command line', () => {
  test('without arguments, help', async () => {
    const { code, out } = await src([]);
    expect(code).toBe(0);
    for (const command of ['run', 'blend', 'convert', 'inspect', 'fmt', 'show', 'doctor']) {
      expect(out).toContain(`\n  ${command} `);
    }
  });

  test('the version', async () => {
    expect(await src(['--version'])).toEqual({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      err: '',
    });
  });

  test.each([
    [['rnu'], "error: unknown command 'rnu'\n  = help: did you mean run?\n"],
    [['enlarge', 'a.png'], "error: unknown command 'enlarge'\n  = help: `src --help` lists what there is\n"],
    [['run', '--wieghts', 'a'], "error: unknown option '--wieghts'\n  = help: did you mean --weights?\n"],
    [
      ['inspect'],
      "error: missing required argument 'weights'\n  = help: `src inspect --help` lists what there is\n",
    ],
  ])('%j', async (argv, expected) => {
    expect(await errorOf(...argv)).toBe(expected);
  });

  test.each([
    [['run', '--precision', 'f8'], 'Allowed choices are f32, f16'],
    [['run', '--scale', 'big'], '--scale big: this is not a number from 0.01 to 64'],
    [['run', '--tile', '0'], '--tile 0: this is not a whole number above 0'],
    [['run', '--set', 'blocks'], '--set blocks: this is not name=value'],
    [['blend', 'a', 'b', '--alpha', '1.5', '-o', 'c'], '--alpha 1.5: this is not a number from 0 to 1'],
  ])('%j', async (argv, expected) => {
    expect(await errorOf(...argv)).toContain(expected);
  });

  test('a number that is none is pointed at', async () => {
    expect(await errorOf('run', '--set', 'blocks=6x')).toBe(
      `error: \`6x\` is not a number
  --> --set:1:8
  |
1 | blocks=6x
  |        ^^
  = help: a repeat follows a layer, with a space: \`conv(64) x3\`
`,
    );
  });

  test('--json puts errors on stdout', async () => {
    const { code, out, err } = await src(['inspect', join(folder, 'none'), '--json']);
    expect({ code, err }).toEqual({ code: 2, err: '' });
    expect(JSON.parse(out).errors[0].message).toContain('there is no such file');
  });

  test('a bug of ours keeps its stack and asks to be reported', async () => {
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(new TypeError('oops')) });
    stdout.on('error', () => {});
    const stderr = new PassThrough();
    const signal = new AbortController().signal;
    const code = await main(['show', 'rrdb'], { stdin: new PassThrough(), stdout, stderr, signal });
    expect(code).toBe(1);
    expect(String(stderr.read())).toMatch(/^internal: TypeError: oops\n\s+at .*Please report it/s);
  });
});

describe('run: mistakes are told before anything is computed', () => {
  const doubler = ['run', paths['doubler.sr'], '-w', paths['doubler.safetensors']];

  test('no weights', async () => {
    const error = await errorOf('run', 'esrgan', '-i', paths['image.png']);
    expect(error).toContain('error: graphs/esrgan.sr: trained weights are needed: --weights FILE');
    expect(error).toContain('src run esrgan --weights RealESRGAN_x4plus.pth');
  });

  test('a device without a name', async () => {
    for (const command of ['run', 'eval', 'tune', 'doctor'])
      expect(await errorOf(command, '--device', '')).toContain('--device names no device');
  });

  test('no network', async () => {
    expect(await errorOf('run', '--weights', 'w.pth')).toContain('src run FILE.sr --weights w.pth');
  });

  test('no input', async () => {
    expect(await errorOf(...doubler)).toContain('which image? --input is missing');
  });

  test('bundled networks are found from anywhere; others are not', async () => {
    for (const name of ['compact', 'compact.sr', 'graphs/compact.sr']) {
      const error = await errorOf('run', name, '-w', paths['doubler.safetensors'], '-i', paths['image.png']);
      expect(error).toContain('the graph: body.0.conv.weight');
    }
    const error = await errorOf(
      'run',
      'compct',
      '-w',
      paths['doubler.safetensors'],
      '-i',
      paths['image.png'],
    );
    expect(error).toContain('did you mean `compact`?');
  });

  test.each([
    ['image.png', 'mistake.sr', 'doubler.safetensors', 'mistake.sr:2:3'],
    ['image.png', 'latin1.sr', 'doubler.safetensors', 'this is not text in UTF-8'],
    ['image.png', 'doubler.sr', 'short.safetensors', 'short.safetensors: not a valid safetensors file'],
    ['image.png', 'doubler.sr', 'wide.safetensors', 'wide.safetensors does not fit the graph'],
    ['image.png', 'doubler.sr', 'image.png', 'image.png: a PNG image'],
    ['image.png', 'doubler.sr', 'photos', 'photos: there are no weights in this folder'],
    ['none.png', 'doubler.sr', 'doubler.safetensors', 'none.png: cannot be read: there is no such file'],
    ['notes', 'doubler.sr', 'doubler.safetensors', 'notes: no images in this folder'],
  ])('%s, %s, %s', async (input, network, file, expected) => {
    const error = await errorOf(
      'run',
      join(folder, network),
      '-w',
      join(folder, file),
      '-i',
      join(folder, input),
    );
    expect(error).toContain(expected);
  });

  test.each([
    [['-i', paths['image.png'], '-o', paths['image.png']], 'the result would replace the input'],
    [['-i', paths['image.png'], '-o', join(paths['image.png'], 'a.png')], 'a part of its path is a file'],
    [['-i', paths['image.png'], '-o', '/proc/none/a.png'], '/proc/none/a.png: cannot be written'],
    [['-i', paths['image.png'], '-o', 'a.bmp'], 'a.bmp: the extension names no image format'],
    [['-i', paths['image.png'], '-o', 'a.png', '--format', 'jpeg'], 'the name says png, --format says jpeg'],
    [['-i', paths['image.png'], '-o', '-', '--json'], '--json and the image both go to standard output'],
    [['-i', join(folder, 'photos'), '-o', '-'], 'a folder of images cannot go to standard output'],
    [['-i', join(folder, 'photos'), '-o', paths['image.png']], 'must be a folder'],
    [['-i', paths['image.png'], '--alpha', '0.5'], '--blend and --alpha belong together'],
  ])('%j', async (argv, expected) => {
    const { code, out, err } = await src([...doubler, ...argv]);
    expect(code).toBe(2);
    expect(out + err).toContain(expected);
  });

  test('the input under another name, and a folder of images as its own result', async () => {
    const link = join(folder, 'link.png');
    symlinkSync(paths['image.png'], link);
    try {
      const error = await errorOf(...doubler, '-i', paths['image.png'], '-o', link);
      expect(error).toContain('link.png: the result would replace the input');
    } finally {
      rmSync(link);
    }
    const photos = join(folder, 'photos');
    const error = await errorOf(...doubler, '-i', photos, '-o', photos);
    expect(error).toContain('a.png: the result would replace the input');
  });

  test('a network for one size of image', async () => {
    const fixed = join(folder, 'fixed.sr');
    writeFileSync(fixed, 'generator g : (3, 8, 8) -> (3, 16, 16) { upsample(2) }\n');
    const error = await errorOf('run', fixed, '-w', paths['doubler.safetensors'], '-i', paths['image.png']);
    expect(error).toContain('`g` takes images of one size only\n  = its input is (3, 8, 8)');
    rmSync(fixed);
  });

  test('two images of one result', async () => {
    const error = await errorOf(...doubler, '-i', join(folder, 'photos'), '--format', 'png');
    expect(error).toContain('both a.png and a.tif would be written there');
  });
});

describe('weights', () => {
  const out = join(folder, 'out.safetensors');
  afterEach(() => rmSync(out, { force: true }));

  test('inspect', async () => {
    const { code, out } = await src(['inspect', paths['doubler.safetensors'], '--tensors']);
    expect(code).toBe(0);
    expect(out).toContain('parameters  168\n');
    expect(out).toContain('conv.1.weight  f32 [3, 3, 3, 3]');
  });

  test('inspect --json', async () => {
    const { out } = await src(['inspect', paths['doubler.safetensors'], '--json']);
    const { format, parameters, tensors } = JSON.parse(out);
    expect({ format, parameters }).toEqual({ format: 'safetensors', parameters: 168 });
    expect(tensors).toContainEqual({ name: 'conv.1.weight', dtype: 'f32', shape: [3, 3, 3, 3] });
  });

  test('names from hostile files cannot command the terminal', async () => {
    const [{ out }] = [await src(['inspect', paths['escape.safetensors'], '--tensors'])];
    expect(out).toContain('?[31mred');
  });

  test('convert, as it is and to f16', async () => {
    const { code, err } = await src(['convert', join(FIXTURES, 'tensors-zip.pth'), '-o', out]);
    expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/out\.safetensors: \d+ tensors, /) });
    const names = [...(await readWeights('', readFileSync(out))).tensors.keys()];
    await src(['convert', out, '-o', out, '--precision', 'f16']);
    const { tensors } = await readWeights('', readFileSync(out));
    expect([...tensors.keys()]).toEqual(names);
    expect([...tensors.values()].some(({ dtype }) => dtype === 'f32')).toBe(false);
  });

  test('convert to the names of a network, which must fit', async () => {
    const wide = ['convert', paths['wide.safetensors'], '-o', out, '--network', paths['doubler.sr']];
    expect(await errorOf(...wide)).toContain('wide.safetensors does not fit the graph');
    expect((await src([...wide, '--set', 'features=5'])).code).toBe(0);
  });

  test('blend', async () => {
    const files = [paths['doubler.safetensors'], paths['zero.safetensors']];
    const { code } = await src(['blend', ...files, '--alpha', '0.25', '-o', out]);
    expect(code).toBe(0);
    const { tensors } = await readWeights('', readFileSync(out));
    expect(Math.max(...tensors.get('conv.1.weight')!.data)).toBe(0.75);
  });

  test.each([
    [['convert', join(FIXTURES, 'evil-zip.pth'), '-o', out], /evil-zip\.pth: .*\n.*= help: /s],
    [['convert', join(FIXTURES, 'evil-legacy.pth'), '-o', out], /evil-legacy\.pth: .*\n.*= help: /s],
    [['convert', paths['short.safetensors'], '-o', out], /short\.safetensors: not a valid safetensors file/],
    [['convert', paths['notes.txt'], '-o', out], /notes\.txt: not a weight file/],
    [
      ['convert', join(folder, 'none.param'), '-o', out],
      /none\.param: cannot be read: there is no such file/,
    ],
    [['convert', paths['doubler.safetensors'], '-o', 'a.pth'], /a\.pth: weights are written as safetensors/],
    [
      ['convert', paths['doubler.safetensors'], '-o', '/proc/a.safetensors'],
      /\/proc\/a\.safetensors: cannot be written/,
    ],
    [
      ['blend', paths['doubler.safetensors'], paths['wide.safetensors'], '--alpha', '0', '-o', out],
      /cannot be blended/,
    ],
  ])('%j', async (argv, expected) => {
    expect(await errorOf(...argv)).toMatch(expected);
  });
});

describe('compile', () => {
  const compile = (...argv: readonly string[]) => src(['compile', paths['doubler.sr'], ...argv]);
  const out = join(folder, 'out.txt');
  afterEach(() => rmSync(out, { force: true }));

  test('-o writes the plan beside the report', async () => {
    const report = await compile('-o', out);
    expect(report).toEqual(await compile());
    expect(JSON.parse(readFileSync(out, 'utf8')).format).toBe('src-plan');
  });

  test.each(['ast', 'graph', 'fused', 'plan', 'wgsl', 'wgsl:0', 'dot', 'json'])(
    '--emit %s prints that form; with -o, writes it',
    async (form) => {
      const printed = await compile('--emit', form);
      expect(printed).toMatchObject({ code: 0, err: '' });
      expect(await compile('--emit', form, '-o', out)).toEqual({ code: 0, out: '', err: '' });
      expect(readFileSync(out, 'utf8')).toBe(printed.out);
    },
  );

  test('--emit of no form writes nothing', async () => {
    const error = await errorOf('compile', paths['doubler.sr'], '--emit', 'onnx', '-o', out);
    expect(error).toContain('--emit onnx: there is no such form');
  });
});

describe('fmt', () => {
  const untidy = 'generator a:(3,h,w)->(3,2*h,2*w){upsample(2);conv(3)}\n';
  const tidy = 'generator a : (3, h, w) -> (3, 2*h, 2*w) { upsample(2); conv(3) }\n';
  const file = join(folder, 'untidy.sr');
  beforeEach(() => writeFileSync(file, untidy));
  afterEach(() => rmSync(file));

  test('rewrites files that are not in the style', async () => {
    expect(await src(['fmt', file])).toEqual({ code: 0, out: '', err: `${file}: formatted\n` });
    expect(readFileSync(file, 'utf8')).toBe(tidy);
    expect(await src(['fmt', file])).toEqual({ code: 0, out: '', err: '' });
  });

  test('--check writes nothing', async () => {
    expect(await errorOf('fmt', '--check', file)).toContain(`= help: run \`src fmt ${file}\``);
    expect(readFileSync(file, 'utf8')).toBe(untidy);
    writeFileSync(file, tidy);
    expect((await src(['fmt', '--check', file])).code).toBe(0);
  });

  test('--stdout, and standard input', async () => {
    expect(await src(['fmt', '--stdout', file])).toEqual({ code: 0, out: tidy, err: '' });
    expect(await src(['fmt', '-'], untidy)).toEqual({ code: 0, out: tidy, err: '' });
  });

  test('a mistake in one file leaves all as they are', async () => {
    writeFileSync(join(folder, 'open.sr'), 'generator {');
    expect(await errorOf('fmt', file, join(folder, 'open.sr'))).toContain('open.sr:1:');
    expect(readFileSync(file, 'utf8')).toBe(untidy);
    rmSync(join(folder, 'open.sr'));
  });
});

describe('show', () => {
  test('a definition', async () => {
    const { code, out } = await src(['show', 'rrdb']);
    expect(code).toBe(0);
    expect(out).toContain('block rrdb(');
  });

  test('all names', async () => {
    const { out } = await src(['show']);
    expect(out).toMatch(/^block rrdb\(growth = 32, beta = 0\.2\)$/m);
    expect(out).toMatch(/^conv\(features, .*\) {2}\/\/ zero-padded convolution/m);
  });

  test('a name that is none', async () => {
    expect(await errorOf('show', 'rrbd')).toContain('did you mean `rrdb`?');
  });
});
