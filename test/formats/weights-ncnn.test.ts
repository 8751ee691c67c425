import { describe, expect, test } from 'vitest';
import { decodeText } from '../../formats/cursor.js';
import { readWeights } from '../../formats/detect.js';
import { concatBytes, errorOf, f32Bytes, ncnnBin, ncnnParam, text, u32Bytes } from './weights-samples.js';

const pair = { 'dir/net.v1.param': ncnnParam, 'dir/net.v1.bin': ncnnBin };

const read = (name: string, files: Readonly<Record<string, Uint8Array>>) =>
  readWeights(name, files[name]!, (companion) => files[companion]);

const readLayers = (lines: readonly string[], bin: Uint8Array) =>
  read('a.param', { 'a.param': text(['7767517', `${lines.length} 9`, ...lines].join('\n')), 'a.bin': bin });

test.each(Object.keys(pair))('%s: either file of the pair will do', async (name) => {
  const file = await read(name, pair);
  expect(file).toMatchObject({ name, format: 'ncnn' });
  expect([...file.tensors]).toEqual([
    [
      'conv_a.weight',
      { shape: [2, 1, 3, 3], dtype: 'f16', data: Float32Array.from({ length: 18 }, (_, i) => i) },
    ],
    ['conv_a.bias', { shape: [2], dtype: 'f32', data: Float32Array.of(0.5, -0.5) }],
    ['slope.weight', { shape: [2], dtype: 'f32', data: Float32Array.of(0.1, 0.2) }],
    ['conv_b.weight', { shape: [1, 2, 1, 1], dtype: 'f32', data: Float32Array.of(7, 8) }],
  ]);
});

test('f16 arrays of odd length are padded; kernels may be oblong; linear and batch norm layers', async () => {
  const bin = concatBytes(
    u32Bytes(0x01306b47),
    [0, 0x3c, 0, 0x40, 0, 0x42, 0xff, 0xff], // 1, 2, 3, padding
    u32Bytes(0x0002c056),
    f32Bytes(4, 5, 6),
    f32Bytes(7, 8, 9, 10),
  );
  const file = await readLayers(
    [
      'Convolution a 1 1 x y 0=1 1=3 11=1 6=3',
      'InnerProduct b 1 1 y z 0=1 1=0 2=3',
      'BatchNorm c 1 1 z w 0=1',
    ],
    bin,
  );
  expect([...file.tensors].map(([name, { shape, data }]) => [name, shape, [...data]])).toEqual([
    ['a.weight', [1, 1, 1, 3], [1, 2, 3]],
    ['b.weight', [1, 3], [4, 5, 6]],
    ['c.weight', [1], [7]],
    ['c.running_mean', [1], [8]],
    ['c.running_var', [1], [9]],
    ['c.bias', [1], [10]],
  ]);
});

describe('refuses', () => {
  const conv = 'Convolution a 1 1 x y 0=1 1=1 6=2';
  test.each([
    ['8-bit weights', [conv], concatBytes(u32Bytes(0x000d4b38), f32Bytes(0)), 'stored in 8 bits'],
    ['table-quantized weights', [conv], concatBytes(u32Bytes(0x01010101), f32Bytes(0)), 'stored in 8 bits'],
    ['8-bit scales', [`${conv} 8=1`], f32Bytes(0, 0), 'stored in 8 bits'],
    ['a short .bin', [conv], concatBytes(u32Bytes(0), f32Bytes(1)), 'damaged or cut short'],
    ['a long .bin', [conv], concatBytes(u32Bytes(0), f32Bytes(1, 2, 3)), 'has 4 bytes more than the .param'],
    ['unknown layers', ['MemoryData m 0 1 x 0=3'], f32Bytes(0), 'is of type "MemoryData"'],
    ['a weight count that does not divide', ['Convolution a 1 1 x y 0=2 1=3 6=10'], f32Bytes(0), 'has shape'],
    ['no outputs', ['Convolution a 1 1 x y 6=10'], f32Bytes(0), 'has shape'],
    ['an absurd size', ['PReLU a 1 1 x y 0=1e15'], f32Bytes(0), 'damaged or cut short'],
    [
      'two layers of one name',
      [conv, conv],
      concatBytes(u32Bytes(0), f32Bytes(1, 2), u32Bytes(0), f32Bytes(1, 2)),
      'two layers',
    ],
    ['a line without counts', ['Convolution'], f32Bytes(0), 'the line "Convolution"'],
    ['more blobs than words', ['Convolution a 5 5 x'], f32Bytes(0), 'the line'],
  ])('%s', async (_, lines, bin, message) => {
    expect(await errorOf(() => readLayers(lines, bin))).toContain(message);
  });

  test('a .param with lines missing', async () => {
    const cut = text(decodeText(ncnnParam).split('\n').slice(0, -2).join('\n'));
    const error = await errorOf(() => read('a.param', { 'a.param': cut, 'a.bin': ncnnBin }));
    expect(error).toContain('3 layers where its header says 4');
  });

  test('the file of the pair that is wrong, whichever was asked for', async () => {
    const shortBin = { ...pair, 'dir/net.v1.bin': ncnnBin.subarray(0, 20) };
    const shortParam = { ...pair, 'dir/net.v1.param': ncnnParam.subarray(0, 40) };
    for (const name of Object.keys(pair)) {
      expect(await errorOf(() => read(name, shortBin))).toContain(
        'error: dir/net.v1.bin: the file is damaged',
      );
      expect(await errorOf(() => read(name, shortParam))).toContain(
        'error: dir/net.v1.param: not a readable',
      );
    }
  });

  test('one file of the pair without the other', async () => {
    expect(await errorOf(() => readWeights('dir/a.param', ncnnParam))).toMatchInlineSnapshot(`
      "error: dir/a.param: the weights of this ncnn model should be in dir/a.bin, which was not found
        = help: keep both files in one folder
      "
    `);
    expect(await errorOf(() => readWeights('a.bin', ncnnBin))).toMatchInlineSnapshot(`
      "error: a.bin: the layers of this ncnn model should be in a.param, which was not found
        = help: keep both files in one folder
      "
    `);
  });
});
