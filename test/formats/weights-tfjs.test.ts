import { describe, expect, test } from 'vitest';
import { readWeights } from '../../formats/detect.js';
import {
  errorOf,
  f32Bytes,
  type TfjsWeight,
  text,
  tfjsLayers,
  tfjsModel,
  tfjsShards,
  tfjsWeights,
} from './weights-samples.js';

const asked: string[] = [];
const read = (model = tfjsModel(), shards: Readonly<Record<string, Uint8Array>> = tfjsShards) =>
  readWeights('dir/model.json', model, async (name) => {
    asked.push(name);
    return shards[name.replace('dir/', '')];
  });

test('execution order, OIHW kernels, slopes', async () => {
  const file = await read();
  expect(asked).toEqual(['dir/a.bin', 'dir/b.bin']);
  // a_second/bias is 0, a_second/kernel 1 2 3, slope 4 5 6, and z_first[h=0][w][i][o] counts up from 7.
  expect([...file.tensors].map(([name, { shape, data }]) => [name, shape, [...data]])).toEqual([
    ['z_first.weight', [3, 2, 1, 2], [7, 13, 10, 16, 8, 14, 11, 17, 9, 15, 12, 18]],
    ['slope.weight', [3], [4, 5, 6]],
    ['a_second.bias', [1], [0]],
    ['a_second.weight', [1, 3, 1, 1], [1, 2, 3]],
  ]);
});

describe('refuses', () => {
  const weightsWith = (change: Partial<TfjsWeight>) =>
    tfjsWeights.map((weight, i) => (i === 1 ? { ...weight, ...change } : weight));
  const layersWith = (index: number, type: string) =>
    tfjsLayers.map((layer, i) => (i === index ? { ...layer, type } : layer));

  test.each([
    [
      'quantized weights',
      tfjsModel(tfjsLayers, weightsWith({ quantization: { dtype: 'uint8', scale: 1 } })),
      'stored as "uint8"',
    ],
    ['other types', tfjsModel(tfjsLayers, weightsWith({ dtype: 'int32' })), 'stored as "int32"'],
    ['dense layers', tfjsModel(layersWith(3, 'Dense')), 'layer "a_second" of type "Dense" has weights'],
    ['depthwise layers', tfjsModel(layersWith(1, 'DepthwiseConv2D')), 'of type "DepthwiseConv2D"'],
    ['weights of no layer', tfjsModel(tfjsLayers.slice(0, 3)), 'weights of "a_second", which is not a layer'],
    [
      'layers before their inputs',
      tfjsModel([...tfjsLayers].reverse()),
      '"a_second" comes before its input "slope"',
    ],
    [
      'a layer twice',
      tfjsModel([...tfjsLayers, { type: 'Add', name: 'slope', inputs: ['in'] }]),
      'two layers are named',
    ],
    [
      'a weight twice',
      tfjsModel(tfjsLayers, [...tfjsWeights, { name: 'slope/alpha', shape: [0] }]),
      'two weights',
    ],
    [
      'slopes for each pixel',
      tfjsModel(
        tfjsLayers,
        tfjsWeights.map((w) => (w.name === 'slope/alpha' ? { ...w, shape: [3, 1, 1] } : w)),
      ),
      'weight of shape [3, 1, 1]',
    ],
    ['a shard twice', tfjsModel(tfjsLayers, tfjsWeights, ['a.bin', 'a.bin']), 'listed twice'],
    ['a shard elsewhere', tfjsModel(tfjsLayers, tfjsWeights, ['../a.bin']), 'the shard path "../a.bin"'],
    ['an absolute shard', tfjsModel(tfjsLayers, tfjsWeights, ['/etc/passwd']), 'the shard path'],
    [
      'a missing shard',
      tfjsModel(tfjsLayers, tfjsWeights, ['c.bin']),
      'should be in dir/c.bin, which was not found',
    ],
    ['short shards', tfjsModel(tfjsLayers, tfjsWeights, ['a.bin']), 'damaged or cut short'],
    ['long shards', tfjsModel(tfjsLayers, tfjsWeights.slice(0, 3)), 'bytes more than its weights need'],
    [
      'a graph model',
      text('{"format": "graph-model", "weightsManifest": []}'),
      'a TensorFlow.js graph model',
    ],
    ['no topology', text('{"weightsManifest": []}'), 'modelTopology has no list of layers'],
    ['no manifest', text('{"weightsManifest": 3}'), 'weightsManifest is not a list'],
    ['a strange manifest', text('{"weightsManifest": [3]}'), 'a group without paths and weights'],
    ['broken JSON', tfjsModel().subarray(0, -3), 'the model is not JSON'],
  ])('%s', async (_, model, message) => {
    expect(await errorOf(() => read(model))).toContain(message);
  });

  test('a negative shape', async () => {
    const model = tfjsModel(tfjsLayers, weightsWith({ shape: [-1, -1, 3, 1] }));
    expect(await errorOf(() => read(model))).toContain('a weight without name and shape');
    expect(await errorOf(() => read(tfjsModel(), { 'a.bin': f32Bytes(1), 'b.bin': f32Bytes(2) }))).toContain(
      'short',
    );
  });
});
