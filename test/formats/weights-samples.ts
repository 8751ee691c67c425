// Small weight files of every format, written by hand for the tests, and the parameter lists of graphs.

import { readFileSync } from 'node:fs';
import { zipSync } from 'fflate';
import { expect } from 'vitest';
import { render, UserError } from '../../diagnostics.js';
import type { Dtype } from '../../formats/dtype.js';
import { f32ToF16 } from '../../formats/half.js';
import type { NamedShape } from '../../formats/network.js';
import { elementsOf } from '../../formats/values.js';
import type { WeightFile, WeightFormat, WeightTensor } from '../../formats/weights.js';

/** The rendered error that `run` ends in. */
export async function errorOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof UserError) return render(error);
    throw error;
  }
  return expect.fail('no error was thrown');
}

export function fixture(name: string): Uint8Array {
  return readFileSync(new URL(`../fixtures/weights/${name}`, import.meta.url));
}

export function concatBytes(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function f32Bytes(...values: number[]): Uint8Array {
  return new Uint8Array(new Float32Array(values).buffer);
}

export function f16Bytes(...values: number[]): Uint8Array {
  return new Uint8Array(f32ToF16(new Float32Array(values)).buffer);
}

export function u32Bytes(...values: number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(values).buffer);
}

// --- bags -----------------------------------------------------------------------------------------------------

export function tensor(shape: readonly number[], first = 0, dtype: Dtype = 'f32'): WeightTensor {
  const data = Float32Array.from({ length: elementsOf(shape) }, (_, i) => first + i / 8);
  return { shape, dtype, data };
}

/** A file of these shapes; the n-th tensor begins with the value n, so that a wrong pairing shows. */
export function fileOf(
  shapes: readonly NamedShape[],
  format: WeightFormat = 'pth',
  name = 'test.pth',
): WeightFile {
  const tensors = shapes.map(({ name: key, shape }, i): [string, WeightTensor] => [key, tensor(shape, i)]);
  return { name, format, tensors: new Map(tensors), metadata: {} };
}

export function rename(file: WeightFile, names: readonly string[]): WeightFile {
  return { ...file, tensors: new Map([...file.tensors.values()].map((value, i) => [names[i]!, value])) };
}

/** The same tensors in another file order. */
export function shuffled(file: WeightFile): WeightFile {
  const entries = [...file.tensors].sort(([a], [b]) => (a.length - b.length) * 7 + (a < b ? 1 : -1));
  return { ...file, tensors: new Map(entries) };
}

// --- networks -------------------------------------------------------------------------------------------------

interface Rrdb {
  readonly blocks?: number;
  readonly features?: number;
  readonly growth?: number;
  readonly scale?: number;
  readonly inputs?: number;
}

function convLayer(path: string, outputs: number, inputs: number, kernel = 3): NamedShape[] {
  return [
    { name: `${path}.weight`, shape: [outputs, inputs, kernel, kernel] },
    { name: `${path}.bias`, shape: [outputs] },
  ];
}

/** RRDBNet in the names of our graphs, or of another family. */
export function rrdb(options: Rrdb = {}, family: 'ours' | 'old' | 'new' | 'basicsr' = 'ours'): NamedShape[] {
  const { blocks = 2, features: f = 8, growth: g = 4, scale = 4, inputs = 3 } = options;
  const doublings = Math.log2(scale);
  const names = {
    ours: {
      first: 'conv.0',
      rdb: (b: number, r: number, c: number) => `body.${b}.rdb.${r}.conv.${c}`,
      trunk: 'conv.1',
      up: (u: number) => `up.${u}.conv`,
      hr: 'conv.2',
      last: 'conv.3',
    },
    old: {
      first: 'model.0',
      rdb: (b: number, r: number, c: number) => `model.1.sub.${b}.RDB${r + 1}.conv${c + 1}.0`,
      trunk: `model.1.sub.${blocks}`,
      up: (u: number) => `model.${3 + 3 * u}`,
      hr: `model.${2 + 3 * doublings}`,
      last: `model.${4 + 3 * doublings}`,
    },
    new: {
      first: 'conv_first',
      rdb: (b: number, r: number, c: number) => `RRDB_trunk.${b}.RDB${r + 1}.conv${c + 1}`,
      trunk: 'trunk_conv',
      up: (u: number) => `upconv${u + 1}`,
      hr: 'HRconv',
      last: 'conv_last',
    },
    basicsr: {
      first: 'conv_first',
      rdb: (b: number, r: number, c: number) => `body.${b}.rdb${r + 1}.conv${c + 1}`,
      trunk: 'conv_body',
      up: (u: number) => `conv_up${u + 1}`,
      hr: 'conv_hr',
      last: 'conv_last',
    },
  }[family];
  const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  return [
    ...convLayer(names.first, f, inputs),
    ...range(blocks).flatMap((b) =>
      range(3).flatMap((r) =>
        range(5).flatMap((c) => convLayer(names.rdb(b, r, c), c < 4 ? g : f, f + c * g)),
      ),
    ),
    ...convLayer(names.trunk, f, f),
    ...range(doublings).flatMap((u) => convLayer(names.up(u), f, f)),
    ...convLayer(names.hr, f, f),
    ...convLayer(names.last, 3, f),
  ];
}

/** SRVGGNetCompact: `body.0` conv, `body.1` slopes, and so on. */
export function compact(
  convs: number,
  scale = 4,
  name = (i: number, _isConv: boolean) => `body.${i}`,
): NamedShape[] {
  const layers: NamedShape[] = [];
  for (let i = 0; i <= convs; i++) {
    layers.push(...convLayer(name(2 * i, true), 64, i === 0 ? 3 : 64));
    layers.push({ name: `${name(2 * i + 1, false)}.weight`, shape: [64] });
  }
  layers.push(...convLayer(name(2 * convs + 2, true), 3 * scale * scale, 64));
  return layers;
}

/** BasicSR's MSRResNet, x4. */
export function msrresnet(blocks: number): NamedShape[] {
  return [
    ...convLayer('conv_first', 8, 3),
    ...Array.from({ length: blocks }, (_, b) => [
      ...convLayer(`body.${b}.conv1`, 8, 8),
      ...convLayer(`body.${b}.conv2`, 8, 8),
    ]).flat(),
    ...convLayer('upconv1', 32, 8),
    ...convLayer('upconv2', 32, 8),
    ...convLayer('conv_hr', 8, 8),
    ...convLayer('conv_last', 3, 8),
  ];
}

/** The start of torchvision's VGG19, and a layer of its classifier. */
export function vgg(): NamedShape[] {
  return [
    ...convLayer('features.0', 64, 3),
    ...convLayer('features.2', 64, 64),
    ...convLayer('features.5', 128, 64),
    ...convLayer('features.10', 128, 128),
    { name: 'classifier.0.weight', shape: [4, 128] },
    { name: 'classifier.0.bias', shape: [4] },
  ];
}

function bnLayer(path: string, features: number): NamedShape[] {
  return ['weight', 'bias', 'running_mean', 'running_var'].map((leaf) => ({
    name: `${path}.${leaf}`,
    shape: [features],
  }));
}

/** SRGAN's SRResNet, x4: normalised, with 9x9 convolutions at both ends. */
export function srresnet(blocks: number): NamedShape[] {
  const normalised = (path: string): NamedShape[] => [
    ...convLayer(`${path}.conv`, 8, 8),
    ...bnLayer(`${path}.norm`, 8),
  ];
  return [
    ...convLayer('conv.0', 8, 3, 9),
    ...Array.from({ length: blocks }, (_, b) => [
      ...normalised(`body.${b}.0`),
      ...normalised(`body.${b}.1`),
    ]).flat(),
    ...normalised('trunk'),
    ...convLayer('up.0', 32, 8),
    ...convLayer('up.1', 32, 8),
    ...convLayer('conv.1', 3, 8, 9),
  ];
}

/** A small VGGStyleDiscriminator with BasicSR's names. */
export function discriminator(): NamedShape[] {
  return [
    ...convLayer('conv0_0', 8, 3),
    { name: 'conv0_1.weight', shape: [8, 8, 4, 4] },
    ...bnLayer('bn0_1', 8),
    { name: 'conv1_0.weight', shape: [16, 8, 3, 3] },
    ...bnLayer('bn1_0', 16),
    { name: 'conv1_1.weight', shape: [16, 16, 4, 4] },
    ...bnLayer('bn1_1', 16),
    { name: 'linear1.weight', shape: [10, 16 * 2 * 2] },
    { name: 'linear1.bias', shape: [10] },
    { name: 'linear2.weight', shape: [1, 10] },
    { name: 'linear2.bias', shape: [1] },
  ];
}

/** A small UNetDiscriminatorSN with Real-ESRGAN's names. */
export function spectralDiscriminator(): NamedShape[] {
  const f = 4;
  const convs = [
    [2 * f, f, 4],
    [4 * f, 2 * f, 4],
    [8 * f, 4 * f, 4],
    [4 * f, 8 * f, 3],
    [2 * f, 4 * f, 3],
    [f, 2 * f, 3],
    [f, f, 3],
    [f, f, 3],
  ] as const;
  return [
    ...convLayer('conv0', f, 3),
    ...convs.flatMap(([o, i, k], n) => [
      { name: `conv${n + 1}.weight_orig`, shape: [o, i, k, k] },
      { name: `conv${n + 1}.weight_u`, shape: [o] },
      { name: `conv${n + 1}.weight_v`, shape: [i * k * k] },
    ]),
    ...convLayer('conv9', 1, f),
  ];
}

// --- pickles --------------------------------------------------------------------------------------------------

/** An assembler for hostile pickles: opcodes as in pickletools, protocol 2. */
export const op = {
  proto: [0x80, 2],
  stop: [0x2e],
  mark: [0x28],
  none: [0x4e],
  emptyDict: [0x7d],
  emptyList: [0x5d],
  emptyTuple: [0x29],
  tuple: [0x74],
  setItem: [0x73],
  setItems: [0x75],
  append: [0x61],
  appends: [0x65],
  reduce: [0x52],
  build: [0x62],
  persid: [0x51],
  false: [0x89],
  put: (index: number) => [0x71, index],
  get: (index: number) => [0x68, index],
  int: (value: number) => concatBytes([0x4a], u32Bytes(value)),
  string: (value: string) => concatBytes([0x58], u32Bytes(value.length), text(value)),
  global: (module: string, name: string) => text(`c${module}\n${name}\n`),
};

export function tuple(...items: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return concatBytes(op.mark, ...items, op.tuple);
}

export function storageOp(key: string, length: number, type = 'FloatStorage'): Uint8Array {
  const id = tuple(
    op.string('storage'),
    op.global('torch', type),
    op.string(key),
    op.string('cpu'),
    op.int(length),
  );
  return concatBytes(id, op.persid);
}

export function tensorOp(
  storage: Uint8Array,
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): Uint8Array {
  const hooks = concatBytes(op.global('collections', 'OrderedDict'), op.emptyTuple, op.reduce);
  const args = tuple(
    storage,
    op.int(offset),
    tuple(...shape.map(op.int)),
    tuple(...strides.map(op.int)),
    op.false,
    hooks,
  );
  return concatBytes(op.global('torch._utils', '_rebuild_tensor_v2'), args, op.reduce);
}

export function dictOp(entries: Readonly<Record<string, Uint8Array | readonly number[]>>): Uint8Array {
  const items = Object.entries(entries).flatMap(([key, value]) => [op.string(key), value]);
  return concatBytes(op.emptyDict, op.mark, ...items, op.setItems);
}

export function zipPth(
  program: Uint8Array,
  files: Readonly<Record<string, Uint8Array>> = {},
  level: 0 | 1 = 0,
): Uint8Array {
  const inside = { 'data.pkl': concatBytes(op.proto, program, op.stop), ...files };
  return zipSync(
    Object.fromEntries(Object.entries(inside).map(([path, bytes]) => [`archive/${path}`, bytes])),
    { level },
  );
}

// --- ncnn and tfjs ----------------------------------------------------------------------------------------------

/** A 3x3 convolution 1 -> 2 with f16 weights, slopes, and a 1x1 convolution 2 -> 1 with f32 weights and no bias. */
export const ncnnParam = text(
  `7767517
4 4
Input input 0 1 data 0=8 1=8 2=1
Convolution conv_a 1 1 data a 0=2 1=3 4=1 5=1 6=18 9=2 -23310=1,2.000000e-01
PReLU slope 1 1 a b 0=2
Convolution conv_b 1 1 b output 0=1 1=1 5=0 6=2
`,
);

export const ncnnBin = concatBytes(
  u32Bytes(0x01306b47),
  f16Bytes(...Array.from({ length: 18 }, (_, i) => i)),
  f32Bytes(0.5, -0.5, 0.1, 0.2),
  u32Bytes(0),
  f32Bytes(7, 8),
);

interface TfjsLayer {
  readonly type: string;
  readonly name: string;
  readonly inputs: readonly string[];
}

export interface TfjsWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype?: string;
  readonly quantization?: object;
}

export const tfjsLayers: readonly TfjsLayer[] = [
  { type: 'InputLayer', name: 'in', inputs: [] },
  { type: 'Conv2D', name: 'z_first', inputs: ['in'] },
  { type: 'PReLU', name: 'slope', inputs: ['z_first'] },
  { type: 'Conv2D', name: 'a_second', inputs: ['slope'] },
];

/** Sorted by name, as the converter writes them: not in execution order. */
export const tfjsWeights: readonly TfjsWeight[] = [
  { name: 'a_second/bias', shape: [1] },
  { name: 'a_second/kernel', shape: [1, 1, 3, 1] },
  { name: 'slope/alpha', shape: [1, 1, 3] },
  { name: 'z_first/kernel', shape: [1, 2, 2, 3] },
];

export function tfjsModel(
  layers = tfjsLayers,
  weights = tfjsWeights,
  paths = ['a.bin', 'b.bin'],
): Uint8Array {
  const model = {
    format: 'layers-model',
    modelTopology: {
      model_config: {
        class_name: 'Functional',
        config: {
          layers: layers.map(({ type, name, inputs }) => ({
            class_name: type,
            config: { name },
            inbound_nodes: inputs.length ? [inputs.map((input) => [input, 0, 0, {}])] : [],
          })),
        },
      },
    },
    weightsManifest: [{ paths, weights: weights.map((weight) => ({ dtype: 'float32', ...weight })) }],
  };
  return text(JSON.stringify(model));
}

/** 19 floats over two shards, cut inside a tensor. */
export const tfjsShards: Readonly<Record<string, Uint8Array>> = {
  'a.bin': f32Bytes(0, 1, 2, 3, 4),
  'b.bin': f32Bytes(...Array.from({ length: 14 }, (_, i) => 5 + i)),
};
