// The published models of ../shared: counts, values read independently with numpy and PyTorch, and that they fit their
// networks. Skipped, and said so, where the folder is missing.

import { describe, expect, test } from 'vitest';
import { blend } from '../../formats/blend.js';
import { describeWeights } from '../../formats/describe.js';
import { matchWeights } from '../../formats/match.js';
import { type NamedShape, printNetwork } from '../../formats/network.js';
import { readSafetensors, withPrecision, writeSafetensors } from '../../formats/safetensors.js';
import { missingShared, sharedWeights } from '../shared.js';
import { compact, errorOf, rrdb } from './weights-samples.js';

const published = (blocks: number): NamedShape[] => rrdb({ blocks, features: 64, growth: 32 });
/** `toEqual` takes seconds on millions of values. */
const sameBits = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
const sum = (data: Float32Array): number => data.reduce((total, value) => total + value, 0);

describe.skipIf(missingShared)('published weights', () => {
  test.each([
    ['realesrgan-x4plus.param', 702, 16_697_987, 'RRDB network: blocks 23, features 64, growth 32, scale 4'],
    [
      'realesrgan-x4plus-anime.bin',
      192,
      4_467_779,
      'RRDB network: blocks 6, features 64, growth 32, scale 4',
    ],
    ['realesr-animevideov3-x4.bin', 53, 621_424, 'SRVGGNetCompact: convs 16, features 64, scale 4'],
    [
      '4x-NMKD-YandereNeo-Superlite.pth',
      72,
      1_590_083,
      'RRDB network: blocks 2, features 64, growth 32, scale 4',
    ],
  ])('%s', async (name, tensors, parameters, network) => {
    const summary = describeWeights(await sharedWeights(name));
    expect(summary).toMatchObject({ tensors, parameters, notFinite: 0 });
    expect(summary.network && printNetwork(summary.network)).toBe(network);
  });

  test('x4plus fits 23 blocks; its last bias is where PyTorch has it', async () => {
    const values = matchWeights(published(23), await sharedWeights('realesrgan-x4plus.bin'));
    expect([...values.get('conv.3.bias')!]).toEqual(
      [0.03813227, 0.03501659, 0.02570719].map((value) => expect.closeTo(value, 7)),
    );
    expect([...values.get('conv.0.weight')!.subarray(0, 3)]).toEqual(
      [0.0516, 0.1449, -0.1566].map((value) => expect.closeTo(value, 4)),
    );
  });

  test('anime fits 6 blocks, and says so to other graphs', async () => {
    const file = await sharedWeights('realesrgan-x4plus-anime.param');
    const values = matchWeights(published(6), file);
    expect(sum(values.get('conv.0.weight')!)).toBeCloseTo(-0.07804083824, 6);
    const error = await errorOf(() => matchWeights(published(23), file));
    expect(error).toContain('blocks: the file has 6, the graph 23');
    expect(error).toContain('pass --set blocks=6');
    expect(await errorOf(() => matchWeights(compact(16), file))).toContain(
      'looks like another network: RRDB network, not SRVGGNetCompact',
    );
  });

  test('superlite, old-arch keys before PyTorch 1.6, fits 2 blocks', async () => {
    const values = matchWeights(published(2), await sharedWeights('4x-NMKD-YandereNeo-Superlite.pth'));
    expect(sum(values.get('conv.0.weight')!)).toBeCloseTo(-1.0519627380126622, 5);
    expect(sum(values.get('body.1.rdb.2.conv.4.bias')!)).toBeCloseTo(0.44991382356965914, 6);
    expect(values.get('conv.3.weight')!.at(-1)).toBeCloseTo(-0.04410768300294876, 9);
    expect(values.get('conv.3.bias')![0]).toBeCloseTo(0.03711564093828201, 9);
  });

  test('animevideov3 fits the compact network', async () => {
    const values = matchWeights(compact(16), await sharedWeights('realesr-animevideov3-x4.param'));
    expect([...values.get('body.0.bias')!.subarray(0, 2)]).toEqual(
      [0.21254003, 0.07621118].map((value) => expect.closeTo(value, 7)),
    );
    expect(sum(values.get('body.1.weight')!)).toBeCloseTo(-5.404558226640802, 5);
  });

  test('f16 weights survive safetensors f16 bit for bit, and blending with themselves', async () => {
    const file = await sharedWeights('realesrgan-x4plus-anime.param');
    const half = readSafetensors('half', writeSafetensors(withPrecision(file, 'f16')));
    const values = matchWeights(published(6), file);
    for (const [name, { dtype, data }] of file.tensors) {
      if (dtype === 'f16') expect(sameBits(half.tensors.get(name)!.data, data)).toBe(true);
    }
    const mixed = matchWeights(published(6), blend(file, file, 0.5));
    expect(sameBits(mixed.get('conv.1.weight')!, values.get('conv.1.weight')!)).toBe(true);
  });
});
