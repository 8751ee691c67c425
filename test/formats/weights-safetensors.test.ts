import { describe, expect, test } from 'vitest';
import {
  isSafetensors,
  readSafetensors,
  withPrecision,
  writeSafetensors,
} from '../../formats/safetensors.js';
import type { WeightTensor } from '../../formats/weights.js';
import { concatBytes, errorOf, f32Bytes, fileOf, rrdb, tensor, text, u32Bytes } from './weights-samples.js';

function raw(header: unknown, data: Uint8Array = f32Bytes(1, 2, 3)): Uint8Array {
  const json = text(typeof header === 'string' ? header : JSON.stringify(header));
  return concatBytes(u32Bytes(json.length, 0), json, data);
}

const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

test('what is written is read back: every type, an empty tensor, a scalar, metadata', () => {
  const tensors = new Map<string, WeightTensor>([
    ['conv.weight', tensor([2, 3, 1, 1])],
    ['half', tensor([5], 1, 'f16')],
    ['brain', tensor([3], 1, 'bf16')],
    ['double', tensor([3], 1, 'f64')],
    ['counter', { shape: [], dtype: 'i64', data: Float32Array.of(400000) }],
    ['int', { shape: [2], dtype: 'i32', data: Float32Array.of(-1, 7) }],
    ['empty', { shape: [0, 3], dtype: 'f32', data: new Float32Array(0) }],
    ['__proto__', tensor([1])],
  ]);
  const bytes = writeSafetensors(tensors, { format: 'pt', who: 'ünï' });
  expect(isSafetensors(bytes)).toBe(true);
  expect(readSafetensors('a.safetensors', bytes)).toEqual({
    name: 'a.safetensors',
    format: 'safetensors',
    tensors,
    metadata: { format: 'pt', who: 'ünï' },
  });
});

test('data starts on a multiple of 8 bytes, and reading does not need it to', () => {
  const bytes = writeSafetensors(new Map([['abc', tensor([3])]]));
  expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
  const pool = Buffer.concat([Buffer.from([0]), bytes]); // Buffers share memory at odd offsets
  expect(readSafetensors('a', pool.subarray(1)).tensors.get('abc')!.data).toEqual(tensor([3]).data);
  const odd = raw({ x: entry(0, 12) });
  expect(readSafetensors('a', odd).tensors.get('x')!.data).toEqual(Float32Array.of(1, 2, 3));
});

test('f16 halves the file, rounds, keeps counters and refuses what it cannot hold', async () => {
  const file = fileOf(rrdb());
  const half = withPrecision(file, 'f16');
  const ratio = writeSafetensors(half).length / writeSafetensors(file.tensors).length;
  expect(ratio).toBeLessThan(0.75); // the header of these small tensors weighs most
  const counter: WeightTensor = { shape: [], dtype: 'i64', data: Float32Array.of(1e6) };
  const mixed = { ...file, tensors: new Map([['a.num_batches_tracked', counter]]) };
  expect(withPrecision(mixed, 'f16').get('a.num_batches_tracked')).toEqual(counter);
  const large = { ...file, tensors: new Map([['w', tensor([1], 70000)]]) };
  expect(await errorOf(() => withPrecision(large, 'f16'))).toMatchInlineSnapshot(`
    "error: test.pth: "w" holds 70000, more than f16 can
      = help: use --precision f32
    "
  `);
});

describe('refuses', () => {
  test.each([
    ['an overlap', raw({ a: entry(0, 8), b: entry(4, 12) }), 'overlaps another tensor at data offset 4'],
    ['the same range twice', raw({ a: entry(0, 12), b: entry(0, 12) }), 'overlaps'],
    ['a gap', raw({ a: entry(0, 4), b: entry(8, 12) }), 'a gap before "b": data offsets 4 to 8'],
    ['a range past the end', raw({ a: entry(0, 16) }), 'need 16 bytes of data, the file has 12'],
    ['bytes left over', raw({ a: entry(0, 8) }), 'need 8 bytes of data, the file has 12'],
    ['a reversed range', raw({ a: entry(8, 0, [2]) }), 'spans -8'],
    ['a shape of another size', raw({ a: entry(0, 12, [4]) }), '[4], 16 bytes, but spans 12'],
    ['a negative size', raw({ a: entry(0, 12, [-3]) }), 'needs a dtype, a shape'],
    ['a fraction', raw({ a: entry(0, 12, [1.5, 2]) }), 'needs a dtype, a shape'],
    ['an absurd shape', raw({ a: entry(0, 12, [1e15, 1e15, 1e15, 0]) }), 'but spans 12'],
    ['too many dimensions', raw({ a: entry(0, 12, [3, 1, 1, 1, 1, 1, 1, 1, 1]) }), 'needs a dtype, a shape'],
    ['8-bit types', raw({ a: entry(0, 12, [12], 'U8') }), 'is stored as "U8"'],
    ['an entry that is no object', raw({ a: 3 }), 'not an object'],
    ['metadata that is no text', raw({ __metadata__: { a: 1 }, b: entry(0, 12) }), 'is not a string'],
    ['metadata that is no object', raw({ __metadata__: [], b: entry(0, 12) }), 'is not an object'],
    ['broken JSON', raw('{"a": '), 'the safetensors header is not JSON'],
    ['deep JSON', raw(`{"a": ${'['.repeat(100000)}`), 'is not JSON'],
    ['a truncated header', raw({ a: entry(0, 12) }).subarray(0, 30), 'the file has 30'],
    ['a huge header', concatBytes(u32Bytes(1e8 + 1, 0), text('{}')), 'should have 100000001 bytes'],
    ['nothing', new Uint8Array(3), 'header'],
  ])('%s', async (_, bytes, message) => {
    const error = await errorOf(() => readSafetensors('bad.safetensors', bytes));
    expect(error).toContain('error: bad.safetensors: ');
    expect(error).toContain(message);
  });
});
