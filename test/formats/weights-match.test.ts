import { describe, expect, test } from 'vitest';
import { orderNote } from '../../formats/keys.js';
import { matchWeights } from '../../formats/match.js';
import type { NamedShape } from '../../formats/network.js';
import type { WeightFile } from '../../formats/weights.js';
import {
  compact,
  discriminator,
  errorOf,
  fileOf,
  msrresnet,
  rename,
  rrdb,
  shuffled,
  spectralDiscriminator,
  tensor,
  vgg,
} from './weights-samples.js';

/** `fileOf` gives the n-th tensor the first value n: in order, the n-th parameter must have it. */
function expectInOrder(parameters: readonly NamedShape[], file: WeightFile): void {
  const values = matchWeights(parameters, file);
  expect([...values.keys()]).toEqual(parameters.map(({ name }) => name));
  expect([...values.values()].map((data) => data[0])).toEqual(parameters.map((_, i) => i));
}

/** The same shapes under other names with the same leaves, as a graph of ours would have them. */
function anonymous(shapes: readonly NamedShape[]): NamedShape[] {
  const layers = [...new Set(shapes.map(({ name }) => name.slice(0, name.lastIndexOf('.'))))];
  return shapes.map(({ name, shape }) => {
    const dot = name.lastIndexOf('.');
    return { name: `layer.${layers.indexOf(name.slice(0, dot))}${name.slice(dot)}`, shape };
  });
}

describe('ncnn weights in another format', () => {
  const shapes = compact(4);
  const file: WeightFile = { ...fileOf(anonymous(shapes)), format: 'ncnn' };
  const written: WeightFile = { ...shuffled(file), format: 'safetensors', metadata: orderNote(file) };

  test('keep their order, also when written again', () => {
    expectInOrder(shapes, written);
    expectInOrder(shapes, { ...written, metadata: orderNote(shuffled(written)) });
  });

  test.each(['no JSON', '3', '[]', '["layer.0.weight"]'])('a note that says %s is none', async (order) => {
    const noted = { ...written, metadata: { order } };
    expect(await errorOf(() => matchWeights(shapes, noted))).toContain('nor of a known family');
  });
});

describe('in execution order, however the file is sorted', () => {
  test.each(['old', 'new', 'basicsr'] as const)('RRDB, %s keys', (family) => {
    // 12 blocks: body.10 must come after body.9
    const file = fileOf(rrdb({ blocks: 12 }, family));
    expectInOrder(rrdb({ blocks: 12 }), file);
    expectInOrder(rrdb({ blocks: 12 }), shuffled(file));
  });

  test.each([
    ['MSRResNet', msrresnet(11)],
    ['SRVGGNetCompact', compact(12)],
    ['discriminator', discriminator()],
    ['spectral discriminator', spectralDiscriminator()],
  ])('%s', (_, shapes) => {
    expectInOrder(anonymous(shapes), shuffled(fileOf(shapes)));
  });

  test('ncnn: the order of the file', () => {
    const ours = compact(3);
    const file = fileOf(
      compact(3, 4, (i, isConv) => (isConv ? `Conv_${99 - i}` : `PRelu_${i}`)),
      'ncnn',
    );
    expectInOrder(anonymous(ours), file);
  });

  test('a VGG is used up to the tap', () => {
    const features = vgg().filter(({ name }) => name.startsWith('features'));
    expectInOrder(anonymous(features.slice(0, 4)), shuffled(fileOf(vgg())));
    expectInOrder(features.slice(0, 4), shuffled(fileOf(vgg())));
  });

  test('step counters are ignored', () => {
    const shapes = discriminator();
    const file = fileOf([...shapes, { name: 'bn0_1.num_batches_tracked', shape: [] }]);
    expectInOrder(anonymous(shapes), file);
    expectInOrder(shapes, file);
  });
});

test('by name, in any order', () => {
  expectInOrder(rrdb(), shuffled(fileOf(rrdb())));
});

describe('shapes that are the same numbers', () => {
  test('a linear layer is a convolution over the whole map, and the other way', () => {
    const conv = [{ name: 'a.weight', shape: [2, 3, 2, 2] }];
    const linear = [{ name: 'a.weight', shape: [2, 12] }];
    expect(matchWeights(conv, fileOf(linear)).get('a.weight')).toEqual(tensor([2, 12]).data);
    expect(matchWeights(linear, fileOf(conv)).get('a.weight')).toEqual(tensor([2, 12]).data);
  });

  test('one PReLU slope serves every channel, but not the other way', async () => {
    const file = { ...fileOf([]), tensors: new Map([['a.weight', tensor([1], 0.25)]]) };
    expect(matchWeights([{ name: 'a.weight', shape: [3] }], file).get('a.weight')).toEqual(
      Float32Array.of(0.25, 0.25, 0.25),
    );
    const one = [{ name: 'a.weight', shape: [1] }];
    expect(await errorOf(() => matchWeights(one, fileOf([{ name: 'a.weight', shape: [3] }])))).toContain(
      'a.weight [1] meets "a.weight" [3]',
    );
    const bias = [{ name: 'a.bias', shape: [3] }];
    expect(await errorOf(() => matchWeights(bias, fileOf([{ name: 'a.bias', shape: [1] }])))).toContain(
      'misshapen',
    );
  });
});

describe('reports', () => {
  const report = (parameters: readonly NamedShape[], file: WeightFile) =>
    errorOf(() => matchWeights(parameters, file));

  test('another number of blocks', async () => {
    expect(await report(rrdb({ blocks: 2 }), fileOf(rrdb({ blocks: 23 }, 'basicsr')))).toMatchInlineSnapshot(`
      "error: test.pth does not fit the graph
        = the file (BasicSR RRDBNet): 702 tensors, 262,771 parameters, RRDB network: blocks 23, features 8, growth 4, scale 4
        = the graph: 72 tensors, 25,387 parameters, RRDB network: blocks 2, features 8, growth 4, scale 4
        = the first 62 agree, then conv.1.weight [8, 8, 3, 3] meets "body.2.rdb1.conv1.weight" [4, 8, 3, 3]
        = blocks: the file has 23, the graph 2
        = help: pass --set blocks=23
      "
    `);
  });

  test('another number of blocks, by name', async () => {
    const file = fileOf(rrdb({ blocks: 3 }), 'safetensors', 'mine.safetensors');
    expect(await report(rrdb({ blocks: 2 }), file)).toMatchInlineSnapshot(`
      "error: mine.safetensors does not fit the graph
        = the file (the graph's names): 102 tensors, 36,691 parameters, RRDB network: blocks 3, features 8, growth 4, scale 4
        = the graph: 72 tensors, 25,387 parameters, RRDB network: blocks 2, features 8, growth 4, scale 4
        = unexpected (30): "body.2.rdb.0.conv.0.weight", "body.2.rdb.0.conv.0.bias", "body.2.rdb.0.conv.1.weight", "body.2.rdb.0.conv.1.bias", "body.2.rdb.0.conv.2.weight", … and 25 more
        = blocks: the file has 3, the graph 2
        = help: pass --set blocks=3
      "
    `);
    expect(await report(rrdb({ blocks: 4 }), file)).toMatchInlineSnapshot(`
      "error: mine.safetensors does not fit the graph
        = the file (the graph's names): 102 tensors, 36,691 parameters, RRDB network: blocks 3, features 8, growth 4, scale 4
        = the graph: 132 tensors, 47,995 parameters, RRDB network: blocks 4, features 8, growth 4, scale 4
        = missing (30): body.3.rdb.0.conv.0.weight, body.3.rdb.0.conv.0.bias, body.3.rdb.0.conv.1.weight, body.3.rdb.0.conv.1.bias, body.3.rdb.0.conv.2.weight, … and 25 more
        = blocks: the file has 3, the graph 4
        = help: pass --set blocks=3
      "
    `);
  });

  test('another scale', async () => {
    expect(await report(rrdb(), fileOf(rrdb({ inputs: 12 }, 'old')))).toMatchInlineSnapshot(`
      "error: test.pth does not fit the graph
        = the file (ESRGAN 2018 ("old-arch")): 72 tensors, 26,035 parameters, RRDB network: blocks 2, features 8, growth 4, scale 2
        = the graph: 72 tensors, 25,387 parameters, RRDB network: blocks 2, features 8, growth 4, scale 4
        = misshapen (1): conv.0.weight [8, 3, 3, 3] meets "model.0.weight" [8, 12, 3, 3]
        = scale: the file has 2, the graph 4
        = help: use the graph these weights were trained for
      "
    `);
  });

  test('another width', async () => {
    expect(await report(rrdb(), fileOf(rrdb({ features: 16 }, 'new')))).toMatchInlineSnapshot(`
      "error: test.pth does not fit the graph
        = the file (ESRGAN repository ("new-arch")): 72 tensors, 57,011 parameters, RRDB network: blocks 2, features 16, growth 4, scale 4
        = the graph: 72 tensors, 25,387 parameters, RRDB network: blocks 2, features 8, growth 4, scale 4
        = misshapen (47): conv.0.weight [8, 3, 3, 3] meets "conv_first.weight" [16, 3, 3, 3], conv.0.bias [8] meets "conv_first.bias" [16], body.0.rdb.0.conv.0.weight [4, 8, 3, 3] meets "RRDB_trunk.0.RDB1.conv1.weight" [4, 16, 3, 3], body.0.rdb.0.conv.1.weight [4, 12, 3, 3] meets "RRDB_trunk.0.RDB1.conv2.weight" [4, 20, 3, 3], body.0.rdb.0.conv.2.weight [4, 16, 3, 3] meets "RRDB_trunk.0.RDB1.conv3.weight" [4, 24, 3, 3], … and 42 more
        = features: the file has 16, the graph 8
        = help: pass --set features=16
      "
    `);
  });

  test('another network', async () => {
    expect(await report(rrdb(), fileOf(discriminator()))).toMatchInlineSnapshot(`
      "error: test.pth does not fit the graph
        = the file (BasicSR VGGStyleDiscriminator): 21 tensors, 7,237 parameters, VGG discriminator: features 8, convs 4
        = the graph: 72 tensors, 25,387 parameters, RRDB network: blocks 2, features 8, growth 4, scale 4
        = the first 2 agree, then body.0.rdb.0.conv.0.weight [4, 8, 3, 3] meets "conv0_1.weight" [8, 8, 4, 4]
        = the file looks like another network: VGG discriminator, not RRDB network
        = help: use the graph these weights were trained for
      "
    `);
  });

  test('unknown keys', async () => {
    const shapes = rrdb();
    const file = rename(
      fileOf(shapes),
      shapes.map(({ name }, i) => `tensor${i}.${name.split('.').at(-1)}`),
    );
    expect(await report(shapes, file)).toMatchInlineSnapshot(`
      "error: test.pth: its keys are neither the graph's names nor of a known family
        = the file: "tensor0.weight", "tensor1.bias", "tensor2.weight", "tensor3.bias", "tensor4.weight", … and 67 more
        = the graph: conv.0.weight, conv.0.bias, body.0.rdb.0.conv.0.weight, body.0.rdb.0.conv.0.bias, body.0.rdb.0.conv.1.weight, … and 67 more
        = help: rename the keys to the graph's names, in the order of \`src compile --emit graph\`
      "
    `);
  });

  test("Real-ESRGAN's discriminator for its generator", async () => {
    expect(await report(rrdb(), fileOf(spectralDiscriminator()))).toContain(
      'the file (Real-ESRGAN UNetDiscriminatorSN): 28 tensors',
    );
  });

  test('a family with one key too many is no family', async () => {
    const file = fileOf([...rrdb({}, 'basicsr'), { name: 'extra.weight', shape: [1] }]);
    expect(await report(rrdb(), file)).toContain("neither the graph's names nor of a known family");
  });

  test('weights that are not numbers', async () => {
    const file = fileOf(rrdb({ blocks: 1 }, 'old'));
    file.tensors.get('model.0.weight')!.data[5] = Number.NaN;
    file.tensors.get('model.10.bias')!.data[0] = Number.NEGATIVE_INFINITY;
    expect(await report(rrdb({ blocks: 1 }), file)).toMatchInlineSnapshot(`
      "error: test.pth: weights that are NaN or infinite
        = "model.0.weight": 1 of 216, "model.10.bias": 1 of 3
        = help: the training of this file diverged, or it was damaged: use another checkpoint
      "
    `);
  });

  test('the same shapes with another leaf', async () => {
    const ours = [{ name: 'layer.bias', shape: [8] }];
    const theirs = [{ name: 'body.0.weight', shape: [8] }];
    expect(await report(ours, fileOf(theirs))).toContain('layer.bias [8] meets "body.0.weight" [8]');
  });
});
