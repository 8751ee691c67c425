import { zipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { readWeights } from '../../formats/detect.js';
import { readLegacyPth, readZipPth } from '../../formats/pth.js';
import {
  concatBytes,
  dictOp,
  errorOf,
  f32Bytes,
  fixture,
  op,
  storageOp,
  tensorOp,
  text,
  tuple,
  u32Bytes,
  zipPth,
} from './weights-samples.js';

const read = (bytes: Uint8Array) => readWeights('net.pth', bytes);
const data = f32Bytes(1, 2, 3, 4, 5, 6);
const one = (tensor: Uint8Array, level: 0 | 1 = 0) =>
  zipPth(dictOp({ w: tensor }), { 'data/0': data }, level);

describe('files written by PyTorch', () => {
  // Values as make.py prints them.
  const expected: Readonly<Record<string, readonly [string, readonly number[], readonly number[]]>> = {
    plain: ['f32', [2, 3, 2, 2], Array.from({ length: 24 }, (_, i) => i / 8 - 1)],
    transposed: [
      'f32',
      [4, 3],
      [-1, -0.5, 0, -0.875, -0.375, 0.125, -0.75, -0.25, 0.25, -0.625, -0.125, 0.375],
    ],
    sliced: ['f32', [2, 3], [-0.25, -0.125, 0, 1, 1.125, 1.25]],
    tail: ['f32', [2, 3], [-0.25, -0.125, 0, 0.125, 0.25, 0.375]],
    head: ['f32', [2, 3], [-1, -0.875, -0.75, -0.625, -0.5, -0.375]],
    half: ['f16', [5], [-1, -0.875, -0.75, -0.625, -0.5]],
    bfloat: ['bf16', [5], [-1, -0.875, -0.75, -0.625, -0.5]],
    double: ['f64', [3], [-1, -0.875, -0.75]],
    counter: ['i64', [], [400000]],
    int: ['i32', [2], [-1, 2]],
    parameter: ['f32', [3], [-1, -0.875, -0.75]],
    empty: ['f32', [0, 3], []],
  };

  test.each(['tensors-zip', 'tensors-legacy', 'tensors-protocol4'])('%s', async (name) => {
    const { tensors, format } = await read(fixture(`${name}.pth`));
    expect(format).toBe('pth');
    const got = [...tensors].map(([key, { dtype, shape, data }]) => [key, [dtype, shape, [...data]]]);
    expect(Object.fromEntries(got)).toEqual(expected);
  });

  test.each(['zip', 'legacy'])('%s: wrappers, the averaged weights first', async (layout) => {
    const wrapped = await read(fixture(`wrapped-${layout}.pth`));
    const plain = await read(fixture(`module-${layout}.pth`));
    expect(wrapped.metadata).toEqual({ wrapper: 'params_ema' });
    expect(plain.metadata).toEqual({ prefix: 'module.' });
    expect([...wrapped.tensors.keys()]).toEqual([...plain.tensors.keys()]);
    const bias = plain.tensors.get('conv.bias')!.data;
    expect(bias[0]).toBeCloseTo(-0.010603924, 8);
    expect(wrapped.tensors.get('conv.bias')!.data).toEqual(bias.map((value) => value + 1));
  });

  test.each([
    ['evil-zip.pth', 'posix.system'],
    ['evil-legacy.pth', 'posix.system'],
    ['namespace-zip.pth', 'argparse.Namespace'],
    ['namespace-legacy.pth', 'argparse.Namespace'],
    ['whole-zip.pth', '__main__.Net'],
  ])('%s asks for %s', async (name, global) => {
    const error = await errorOf(() => readWeights(name, fixture(name)));
    expect(error).toContain(`error: ${name}: its pickle asks for "${global}", which is not plain weights`);
    expect(error).toContain('torch.save(net.state_dict(), "weights.pth")');
  });
});

test('compressed archives are read too', async () => {
  const file = await read(one(tensorOp(storageOp('0', 6), [2, 3], [3, 1]), 1));
  expect(file.tensors.get('w')!.data).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
});

test('nested wrappers and prefixes are removed, and said', async () => {
  const state = dictOp({ 'module.netG.conv.weight': tensorOp(storageOp('0', 6), [6], [1]) });
  const bytes = zipPth(dictOp({ epoch: op.int(3), state_dict: dictOp({ params: state }) }), {
    'data/0': data,
  });
  const file = await read(bytes);
  expect([...file.tensors.keys()]).toEqual(['conv.weight']);
  expect(file.metadata).toEqual({ wrapper: 'state_dict.params', prefix: 'module.netG.' });
});

describe('tensors', () => {
  const refused = async (tensor: Uint8Array) => errorOf(() => read(one(tensor)));

  test('strides and offsets', async () => {
    const file = await read(one(tensorOp(storageOp('0', 6), [2, 2], [1, 3], 1)));
    expect(file.tensors.get('w')!.data).toEqual(Float32Array.of(2, 5, 3, 6));
  });

  test.each([
    [
      'an offset past the end',
      tensorOp(storageOp('0', 6), [6], [1], 1),
      'reaches element 6 of a storage of 6',
    ],
    ['a stride past the end', tensorOp(storageOp('0', 6), [2, 2], [5, 1]), 'reaches element 6'],
    ['a negative offset', tensorOp(storageOp('0', 6), [1], [1], -1), 'without storage, offset'],
    ['a negative stride', tensorOp(storageOp('0', 6), [2], [-1], 5), 'without storage, offset'],
    ['fewer strides than sizes', tensorOp(storageOp('0', 6), [2, 3], [1]), 'shape [2, 3] with strides [1]'],
    [
      'one element repeated 4 billion times',
      tensorOp(storageOp('0', 6), [65536, 65536], [0, 0]),
      '"w" repeats stored elements',
    ],
    ['a storage that is too short', tensorOp(storageOp('0', 7), [7], [1]), 'should have 28 bytes, it has 24'],
    ['a storage that is absent', tensorOp(storageOp('1', 6), [6], [1]), 'it has none'],
    [
      'a storage of bytes',
      tensorOp(storageOp('0', 6, 'ByteStorage'), [6], [1]),
      'asks for "torch.ByteStorage"',
    ],
    ['something that is no storage', tensorOp(op.string('x'), [6], [1]), 'without storage'],
  ])('%s', async (_, tensor, message) => {
    expect(await refused(tensor)).toContain(message);
  });

  test('one storage under two types', async () => {
    const program = dictOp({
      a: tensorOp(storageOp('0', 6), [6], [1]),
      b: tensorOp(storageOp('0', 6, 'IntStorage'), [6], [1]),
    });
    expect(await errorOf(() => read(zipPth(program, { 'data/0': data })))).toContain('two types or sizes');
  });
});

describe('pickles', () => {
  const refused = async (program: Uint8Array) => errorOf(() => read(zipPth(program, { 'data/0': data })));
  const hostile: [string, Uint8Array, string][] = [
    [
      'calls a storage type',
      concatBytes(op.global('torch', 'FloatStorage'), op.emptyTuple, op.reduce),
      'call',
    ],
    ['calls text', concatBytes(op.string('x'), op.emptyTuple, op.reduce), 'cannot be called'],
    ['pops an empty stack', Uint8Array.of(0x30), 'the stack is empty'],
    ['closes no mark', Uint8Array.of(...op.tuple), 'no mark is open'],
    ['reads an unset memo', Uint8Array.of(...op.get(9)), 'memo 9 is not set'],
    ['uses an unknown opcode', Uint8Array.of(0xff), 'opcode 0xff'],
    ['asks for an extension', Uint8Array.of(0x82, 1), 'opcode 0x82'],
    ['instantiates by INST', text('ios\nsystem\n'), 'opcode 0x69'],
    ['announces endless text', concatBytes([0x8d], u32Bytes(0xffffffff, 0xffff)), 'damaged or cut short'],
    ['announces an endless integer', concatBytes([0x8b], u32Bytes(0x7fffffff)), 'an integer of 2147483647'],
    ['sets items of a list', concatBytes(op.emptyList, op.none, op.none, op.setItem), 'other than a dict'],
    [
      'has an odd number of items',
      concatBytes(op.emptyDict, op.mark, op.none, op.setItems),
      'without a value',
    ],
    ['sets attributes of text', concatBytes(op.string('x'), op.none, op.build), 'attributes'],
    ['holds one tensor', tensorOp(storageOp('0', 6), [6], [1]), 'holds a single tensor, not a state dict'],
    ['holds text', concatBytes(op.string('hello')), 'holds no dict, not a state dict'],
    ['holds no tensors', dictOp({ epoch: op.int(1), lr: op.int(2) }), 'its keys: "epoch", "lr"'],
    ['makes a million dicts', new Uint8Array(1_100_000).fill(0x7d), 'more than 1000000 opcodes'],
    ['opens a million marks', new Uint8Array(1_100_000).fill(0x28), 'more than 1000000 opcodes'],
  ];
  test.each(hostile)('one that %s', async (_, program, message) => {
    expect(await refused(program)).toContain(message);
  });

  test('a dict inside itself ends', async () => {
    const loop = concatBytes(op.emptyDict, op.put(1), op.string('params'), op.get(1), op.setItem);
    expect(await refused(loop)).toContain('no tensors where a state dict should be');
  });

  test('one list turned into dicts again and again ends', async () => {
    const pair = tuple(op.string('a'), op.none);
    const pairs = Array.from({ length: 2000 }, () => pair);
    const list = concatBytes(op.emptyList, op.mark, ...pairs, op.appends, op.put(1));
    const again = concatBytes(
      op.global('collections', 'OrderedDict'),
      op.put(2),
      ...Array.from({ length: 2000 }, () => concatBytes(op.get(2), op.mark, op.get(1), op.tuple, op.reduce)),
    );
    expect(await refused(concatBytes(list, again))).toContain('more dict entries than the file has bytes');
  });

  test('doubling a list by name stays small', async () => {
    const doubling = Array.from({ length: 100 }, (_, i) =>
      concatBytes(tuple(op.get(i), op.get(i)), op.put(i + 1)),
    );
    const bomb = concatBytes(op.string('x'), op.put(0), ...doubling);
    expect(await refused(dictOp({ bomb }))).toContain('its keys: "bomb"');
    expect(await refused(concatBytes(bomb, op.get(3), [0x93]))).toContain('a global without a name');
  });
});

describe('zip archives', () => {
  const good = () => one(tensorOp(storageOp('0', 6), [6], [1]));
  const at = (bytes: Uint8Array, signature: string) =>
    Buffer.from(bytes).lastIndexOf(signature, undefined, 'latin1');
  const refused = async (change: (bytes: Uint8Array, view: DataView) => void) => {
    const bytes = good();
    change(bytes, new DataView(bytes.buffer));
    return errorOf(() => read(bytes));
  };

  test('overlapping entries', async () => {
    const error = await refused((bytes, view) => {
      const central = at(bytes, 'PK\x01\x02');
      view.setUint32(central + 42, 0, true); // the last entry begins where the first does
    });
    expect(error).toContain('overlaps another');
  });

  test('an entry that reaches into the directory', async () => {
    const error = await refused((bytes, view) => {
      const central = at(bytes, 'PK\x01\x02');
      view.setUint32(central + 20, 500, true);
      view.setUint32(central + 24, 500, true);
    });
    expect(error).toContain('reaches into the directory');
  });

  test.each([
    ['encryption', 8, 1, 'is encrypted'],
    ['other compression', 10, 12, 'compression method 12'],
    ['two sizes', 24, 999, 'has two sizes'],
    ['an offset past the end', 42, 1e6, 'damaged or cut short'],
    ['an offset to elsewhere', 42, 300, 'not where the directory says'],
  ])('%s', async (_, offset, value, message) => {
    const error = await refused((bytes, view) => {
      const field = at(bytes, 'PK\x01\x02') + offset;
      if (offset < 20) view.setUint16(field, value, true);
      else view.setUint32(field, value, true);
    });
    expect(error).toContain(message);
  });

  test('bombs, by their declared size and by what comes out', async () => {
    const program = dictOp({ w: tensorOp(storageOp('0', 6), [6], [1]) });
    const bomb = zipPth(program, { 'data/0': new Uint8Array(2 ** 25) }, 1);
    expect(bomb.length).toBeLessThan(200_000);
    expect(await errorOf(() => read(bomb))).toContain('its entries unpack to 33554');
    new DataView(bomb.buffer).setUint32(at(bomb, 'PK\x01\x02') + 24, 24, true);
    expect(await errorOf(() => read(bomb))).toContain('unpacks to more than 24 bytes');
  });

  test('no directory, no data.pkl, TorchScript, big-endian', async () => {
    expect(await errorOf(() => read(good().subarray(0, -30)))).toContain('the file is cut short');
    expect(await errorOf(() => read(zipSync({ 'a.txt': text('a') })))).toContain('not one of PyTorch');
    const script = zipPth(dictOp({}), { 'constants.pkl': new Uint8Array(0) });
    expect(await errorOf(() => read(script))).toContain('a TorchScript program');
    const big = zipPth(dictOp({}), { byteorder: text('big') });
    expect(await errorOf(() => read(big))).toContain('written on a big-endian machine');
    const little = zipPth(dictOp({ w: tensorOp(storageOp('0', 6), [6], [1]) }), {
      byteorder: text('little'),
      'data/0': data,
    });
    expect(readZipPth('net.pth', little).tensors.size).toBe(1);
  });
});

describe('the layout before 1.6', () => {
  const magic = concatBytes(op.proto, [0x8a, 10], fixture('tensors-legacy.pth').subarray(4, 14), op.stop);
  const pickle = (program: Uint8Array) => concatBytes(op.proto, program, op.stop);
  const file = (system: Uint8Array, keys: Uint8Array, count: number) =>
    concatBytes(
      magic,
      pickle(Uint8Array.of(0x4d, 0xe9, 0x03)),
      pickle(system),
      pickle(dictOp({ w: tensorOp(storageOp('k', 6), [6], [1]) })),
      pickle(keys),
      u32Bytes(count, 0),
      data,
    );
  const little = dictOp({ little_endian: [0x88] });
  const keys = concatBytes(op.emptyList, op.string('k'), op.append);

  test('is read', () => {
    const { tensors } = readLegacyPth('old.pth', file(little, keys, 6));
    expect(tensors.get('w')!.data).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
  });

  test.each([
    ['big-endian', file(dictOp({ little_endian: op.false }), keys, 6), 'big-endian'],
    ['another count', file(little, keys, 5), 'has 5 elements, not 6'],
    [
      'a storage no tensor uses',
      file(little, concatBytes(op.emptyList, op.string('x'), op.append), 6),
      'listed',
    ],
    ['a storage not listed', file(little, Uint8Array.of(...op.emptyList), 6), 'storage "k" is missing'],
    ['no list', file(little, Uint8Array.of(...op.none), 6), 'the list of storages is missing'],
    ['cut data', file(little, keys, 6).subarray(0, -1), 'damaged or cut short'],
    ['a plain pickle', pickle(op.string('x')), 'a pickle, but not one of PyTorch'],
    ['another protocol', concatBytes(magic, pickle(op.int(5))), 'protocol 5 instead of 1001'],
  ])('%s', async (_, bytes, message) => {
    expect(await errorOf(() => readLegacyPth('old.pth', bytes))).toContain(message);
  });
});
