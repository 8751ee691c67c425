import { describe, expect, test } from 'vitest';
import { describeWeights } from '../../formats/describe.js';
import { readWeights } from '../../formats/detect.js';
import { printNetwork } from '../../formats/network.js';
import { writeSafetensors } from '../../formats/safetensors.js';
import {
  compact,
  discriminator,
  errorOf,
  fileOf,
  fixture,
  msrresnet,
  rrdb,
  srresnet,
  tensor,
  text,
  vgg,
} from './weights-samples.js';

test('the name does not matter, the content does', async () => {
  const safetensors = writeSafetensors(new Map([['a', tensor([1])]]));
  expect((await readWeights('x.pth', safetensors)).format).toBe('safetensors');
  expect((await readWeights('x.safetensors', fixture('tensors-zip.pth'))).format).toBe('pth');
  expect((await readWeights('x', fixture('tensors-legacy.pth'))).format).toBe('pth');
});

test('the prefix all keys share goes, one that only some have stays', async () => {
  const read = (names: readonly string[]) =>
    readWeights('x', writeSafetensors(new Map(names.map((name) => [name, tensor([1])]))));
  expect([...(await read(['module.a', 'module.b'])).tensors.keys()]).toEqual(['a', 'b']);
  expect([...(await read(['netG.a', 'netD.b'])).tensors.keys()]).toEqual(['netG.a', 'netD.b']);
});

test('what a file says is printed without its control characters', async () => {
  const error = await errorOf(() => readWeights('w.pth', Uint8Array.of(0x9b, 0x33, 0x31, 0x6d, 0x1b, 0x5b)));
  expect(error).toContain('it begins with "\\u{9b}31m\\u001b["');
});

test.each([
  ['an empty file', new Uint8Array(0), 'the file is empty'],
  ['an image', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0), 'a PNG image'],
  ['a web page', text('<!DOCTYPE html><html>'), 'a web page'],
  ['a git-lfs pointer', text('version https://git-lfs.github.com/spec/v1'), 'git lfs pull'],
  ['anything else', text('hello'), 'readable: PyTorch .pth'],
  ['JSON', text('{"a": 1}'), 'not a weight file'],
  ['a file without tensors', writeSafetensors(new Map()), 'holds no tensors'],
])('%s', async (_, bytes, message) => {
  const error = await errorOf(() => readWeights('w.pth', bytes));
  expect(error).toContain('error: w.pth: ');
  expect(error).toContain(message);
});

describe('describeWeights', () => {
  test.each([
    ['RRDB network: blocks 2, features 8, growth 4, scale 4', 'BasicSR RRDBNet', rrdb({}, 'basicsr')],
    [
      'RRDB network: blocks 1, features 8, growth 4, scale 2',
      'ESRGAN 2018 ("old-arch")',
      rrdb({ blocks: 1, scale: 2 }, 'old'),
    ],
    [
      'RRDB network: blocks 2, features 8, growth 4, scale 2',
      'ESRGAN repository ("new-arch")',
      rrdb({ inputs: 12 }, 'new'),
    ],
    ['RRDB network: blocks 2, features 8, growth 4, scale 1', undefined, rrdb({ inputs: 48 })],
    ['SRVGGNetCompact: convs 3, features 64, scale 4', 'BasicSR SRVGGNetCompact', compact(3)],
    ['MSRResNet: blocks 3, features 8, scale 4', 'BasicSR MSRResNet', msrresnet(3)],
    ['SRResNet: blocks 5, features 8, scale 4', undefined, srresnet(5)],
    ['VGG classifier: convs 4', 'torchvision VGG', vgg()],
    ['VGG discriminator: features 8, convs 4', 'BasicSR VGGStyleDiscriminator', discriminator()],
  ])('%s (%s)', (network, family, shapes) => {
    const summary = describeWeights(fileOf(shapes));
    expect(summary.family).toBe(family);
    expect(summary.network && printNetwork(summary.network)).toBe(network);
  });

  test('counts and range', () => {
    const file = {
      ...fileOf([]),
      metadata: { wrapper: 'params' },
      tensors: new Map([
        [
          'a.weight',
          { shape: [4], dtype: 'f16', data: Float32Array.of(1, Number.NaN, -3, Number.POSITIVE_INFINITY) },
        ],
        ['a.bias', { shape: [2], dtype: 'f32', data: Float32Array.of(0, 7) }],
        ['a.running_var', { shape: [2], dtype: 'f32', data: Float32Array.of(0, 0) }],
      ] as const),
    };
    expect(describeWeights(file)).toEqual({
      format: 'pth',
      family: undefined,
      network: undefined,
      tensors: 3,
      parameters: 6,
      dtypes: { f16: 1, f32: 2 },
      min: -3,
      max: 7,
      notFinite: 2,
      metadata: { wrapper: 'params' },
    });
  });
});
