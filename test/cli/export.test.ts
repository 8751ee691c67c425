// `src export`: what it writes runs in ONNX Runtime, and what it refuses.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeWithOrt } from '../on-ort.js';
import { DOUBLER, filesIn, identityWeights, src, temporaryFolder, writeFiles } from './harness.js';

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const paths = writeFiles(folder, {
  'doubler.sr': DOUBLER,
  'doubler.safetensors': identityWeights(DOUBLER),
  'fixed.sr': 'generator fixed : (3, 8, 8) -> (3, 8, 8) { conv(3) }',
});
const doubler = ['export', paths['doubler.sr'], '-w', paths['doubler.safetensors'], '-o'];

describeWithOrt('what it writes', (ort) => {
  test.each(['f32', 'f16'])('in %s: doubles pixels, and says what it is', async (precision) => {
    const output = join(folder, `new/${precision}.onnx`);
    const { code, out, err } = await src([...doubler, output, '--precision', precision]);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toBe(`${output}: doubler x2 in ${precision}, 2 KiB\n`);
    const bytes = readFileSync(output);
    const model = await ort.open(bytes);
    const data = Float32Array.from({ length: 6 }, (_, i) => i / 8);
    const { output: result } = await model.run({ input: { data, shape: [1, 3, 1, 2] } });
    await model.close();
    const row = (c: number) => [data[2 * c], data[2 * c], data[2 * c + 1], data[2 * c + 1]];
    expect([...result!]).toEqual([0, 0, 1, 1, 2, 2].flatMap(row));
    const facts = {
      network: 'doubler',
      scale: '2',
      source: paths['doubler.sr'],
      weights: 'doubler.safetensors',
    };
    for (const [key, value] of Object.entries(facts)) {
      expect(bytes.includes(Buffer.from([0x0a, key.length, ...Buffer.from(key), 0x12]))).toBe(true);
      expect(bytes.includes(value)).toBe(true);
    }
  });

  test('the network that comes along, half sharp', async () => {
    const output = join(folder, 'photo.onnx');
    const { code, err } = await src(['export', '--style', 'sharp', '--alpha', '0.5', '-o', output]);
    expect({ code, err }).toEqual({ code: 0, err: `${output}: photo x4 in f32, 496 KiB\n` });
  });
});

describe('mistakes', () => {
  test.each([
    [['export', paths['doubler.sr'], '-o', join(folder, 'x.onnx')], 'trained weights are needed'],
    [[...doubler, join(folder, 'x.pb')], `name it ${folder}/x.onnx`],
    [[...doubler, '-'], 'ONNX files are not written to standard output'],
    [[...doubler, folder], `${folder}: networks are written as ONNX`],
    [
      ['export', 'esrgan', '-w', paths['doubler.safetensors'], '-o', join(folder, 'x.onnx')],
      'does not fit the graph',
    ],
    [
      ['export', paths['fixed.sr'], '-w', paths['doubler.safetensors'], '-o', join(folder, 'x.onnx')],
      '`fixed` takes images of one size only',
    ],
    [['export', paths['doubler.sr']], "required option '-o, --output <file>' not specified"],
  ])('%j', async (argv, expected) => {
    const before = filesIn(folder);
    const { code, out, err } = await src(argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^error: /);
    expect(err).toContain(expected);
    expect(filesIn(folder)).toEqual(before);
  });
});
