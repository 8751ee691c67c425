// ONNX models as data, and as bytes (onnx.proto3 of ONNX 1.12: operator set 17, IR version 8).

import { fail } from '../diagnostics.js';
import { f32ToF16 } from './half.js';
import { type Fields, float, integer, join, lengthOf, message, text } from './protobuf.js';

export interface OnnxModel {
  /** The program that wrote it. */
  readonly producer: { readonly name: string; readonly version: string };
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly tensors: readonly OnnxTensor[];
  /** In an order in which they can run. */
  readonly nodes: readonly OnnxNode[];
}

/** A named size is known when the model runs. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

/** Sizes and positions are `i64`, with numbers from 0 on. */
export type OnnxTensor = { readonly name: string; readonly shape: readonly number[] } & (
  | { readonly type: 'f32' | 'f16'; readonly data: Float32Array }
  | { readonly type: 'i64'; readonly data: readonly number[] }
);

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attrs: Readonly<Record<string, OnnxAttr>>;
}

/** Whole numbers are ints to ONNX, `{ float }` says otherwise. */
export type OnnxAttr = number | string | readonly number[] | { readonly float: number };

/** `TensorProto.DataType` */
export const ONNX_TYPE = { f32: 1, i64: 7, f16: 10 } as const;

const IR_VERSION = 8;
const OPSET = 17;
/** Of a message of Protocol Buffers. */
const MAX_BYTES = 2 ** 31 - 1;

export function writeOnnx({ producer, metadata, ...graph }: OnnxModel): Uint8Array<ArrayBuffer> {
  const fields = [
    ...integer(1, IR_VERSION),
    ...text(2, producer.name),
    ...text(3, producer.version),
    ...message(7, graphFields(graph)),
    ...message(8, integer(2, OPSET)),
    ...Object.entries(metadata).flatMap(([key, value]) => message(14, text(1, key), text(2, value))),
  ];
  const bytes = lengthOf(fields);
  if (bytes > MAX_BYTES) {
    fail(
      `${graph.name} would be an ONNX file of ${(bytes / 2 ** 30).toFixed(2)} GiB, which must be below 2`,
      {
        help: 'store its weights in 16 bits: --precision f16',
      },
    );
  }
  return join(fields);
}

function graphFields({
  name,
  nodes,
  tensors,
  inputs,
  outputs,
}: Omit<OnnxModel, 'producer' | 'metadata'>): Fields {
  return [
    ...nodes.flatMap((node) => message(1, nodeFields(node))),
    ...text(2, name),
    ...tensors.flatMap((tensor) => message(5, tensorFields(tensor))),
    ...inputs.flatMap((value) => message(11, valueFields(value))),
    ...outputs.flatMap((value) => message(12, valueFields(value))),
  ];
}

function nodeFields({ op, inputs, output, attrs }: OnnxNode): Fields {
  return [
    ...inputs.flatMap((input) => text(1, input)),
    ...text(2, output),
    ...text(3, output),
    ...text(4, op),
    ...Object.entries(attrs).flatMap(([name, value]) => message(5, text(1, name), attrFields(value))),
  ];
}

/** The value and `AttributeProto.AttributeType`. */
function attrFields(value: OnnxAttr): Fields {
  if (typeof value === 'number') return [...integer(3, value), ...integer(20, 2)];
  if (typeof value === 'string') return [...text(4, value), ...integer(20, 3)];
  if ('float' in value) return [...float(2, value.float), ...integer(20, 1)];
  return [...value.flatMap((each) => integer(8, each)), ...integer(20, 7)];
}

function tensorFields(tensor: OnnxTensor): Fields {
  return [
    ...tensor.shape.flatMap((size) => integer(1, size)),
    ...integer(2, ONNX_TYPE[tensor.type]),
    ...text(8, tensor.name),
    ...message(9, [rawBytes(tensor)]),
  ];
}

function rawBytes(tensor: OnnxTensor): Uint8Array {
  if (tensor.type === 'i64') return new Uint8Array(BigInt64Array.from(tensor.data, BigInt).buffer);
  if (tensor.type === 'f16') return new Uint8Array(f32ToF16(tensor.data).buffer);
  return new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
}

/** Of `ValueInfoProto`, always a tensor in f32. */
function valueFields({ name, shape }: OnnxValue): Fields {
  const dims = shape.flatMap((size) =>
    message(1, typeof size === 'number' ? integer(1, size) : text(2, size)),
  );
  return [...text(1, name), ...message(2, message(1, integer(1, ONNX_TYPE.f32), message(2, dims)))];
}
