// ONNX files as bytes. That ONNX Runtime reads them is tested in test/onnx/.

import { describe, expect, test } from 'vitest';
import { type OnnxModel, writeOnnx } from '../../formats/onnx.js';
import { float, integer, join, message, text } from '../../formats/protobuf.js';

describe('protocol buffers', () => {
  // The examples of protobuf.dev/programming-guides/encoding.
  test.each([
    ['a whole number', integer(1, 150), [0x08, 0x96, 0x01]],
    ['a text', text(2, 'testing'), [0x12, 0x07, ...Buffer.from('testing')]],
    ['a message within', message(3, integer(1, 150)), [0x1a, 0x03, 0x08, 0x96, 0x01]],
    ['zero', integer(1, 0), [0x08, 0x00]],
    ['128', integer(1, 128), [0x08, 0x80, 0x01]],
    ['beyond 32 bits', integer(1, 2 ** 40), [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]],
    ['a float', float(1, 1), [0x0d, 0x00, 0x00, 0x80, 0x3f]],
    ['a field above 15', integer(20, 1), [0xa0, 0x01, 0x01]],
    ['text in UTF-8', text(1, 'é'), [0x0a, 0x02, 0xc3, 0xa9]],
  ])('%s', (_, fields, bytes) => {
    expect([...join(fields)]).toEqual(bytes);
  });
});

test('a file that Protocol Buffers cannot hold is refused', () => {
  const model: OnnxModel = {
    producer: { name: 'src', version: '' },
    name: 'huge',
    metadata: {},
    inputs: [],
    outputs: [],
    tensors: [{ name: 'w', shape: [2 ** 29], type: 'f32', data: new Float32Array(2 ** 29) }],
    nodes: [],
  };
  expect(() => writeOnnx(model)).toThrow('huge would be an ONNX file of 2.00 GiB, which must be below 2');
});
