// ncnn models: `.param` is text, one layer a line; `.bin` is the layers' weights in the same order and without names,
// so every layer type must be known or the rest cannot be found. Layers are listed in execution order.
// Facts: Tencent/ncnn, docs/developer-guide/param-and-model-file-structure.md, src/modelbin.cpp, src/layer/*.cpp.

import { fail } from '../diagnostics.js';
import { Cursor, decodeText } from './cursor.js';
import { DTYPES, type Dtype } from './dtype.js';
import { elementsOf, isShape, printShape, quote } from './values.js';
import type { WeightFile, WeightTensor } from './weights.js';

export const PARAM_MAGIC = '7767517';

/** A layer's parameters by id: `0=64 1=3`; arrays (`-23310=1,0.2`) configure activations and carry no weights. */
type Params = ReadonlyMap<number, number>;

interface Layer {
  readonly type: string;
  readonly name: string;
  readonly params: Params;
}

/** One array of the `.bin`: `tagged` arrays start with 4 bytes that tell how they are stored, others are f32. */
interface Blob {
  readonly leaf: string;
  readonly shape: readonly number[];
  readonly tagged?: true;
}

const LAYERS = new Map<string, (params: Params) => readonly Blob[]>([
  ['Convolution', convolution],
  ['ConvolutionDepthWise', convolution],
  ['InnerProduct', innerProduct],
  ['PReLU', (params) => [{ leaf: 'weight', shape: [params.get(0) ?? 0] }]],
  ['BatchNorm', batchNorm],
]);

const WEIGHTLESS: ReadonlySet<string> = new Set(
  `BinaryOp Clip Concat Crop Dropout ELU Eltwise Flatten HardSigmoid HardSwish Input Interp Mish Noop Packing
  Padding Permute PixelShuffle Pooling ReLU Reorg Reshape Sigmoid Slice Softmax Split Swish TanH UnaryOp`.split(
    /\s+/,
  ),
);

/** How a tagged array is stored. Any other tag starts an 8-bit form. */
const TAGS: ReadonlyMap<number, Dtype> = new Map([
  [0, 'f32'],
  [0x0002c056, 'f32'],
  [0x01306b47, 'f16'],
]);

/** By content: the f16 tag most published `.bin` files begin with. */
export function looksLikeBin(bytes: Uint8Array): boolean {
  return bytes.length > 4 && TAGS.get(new Cursor('', bytes).u32()) === 'f16';
}

/** `name` is the file that was asked for; mistakes name the one of the pair they are in. */
export function readNcnn(
  name: string,
  [paramName, param]: readonly [name: string, bytes: Uint8Array],
  [binName, bin]: readonly [name: string, bytes: Uint8Array],
): WeightFile {
  const cursor = new Cursor(binName, bin);
  const tensors = new Map<string, WeightTensor>();
  for (const layer of readParam(paramName, decodeText(param))) {
    for (const blob of blobsOf(paramName, layer)) {
      const key = `${layer.name}.${blob.leaf}`;
      if (tensors.has(key)) malformed(paramName, `two layers are named ${quote(layer.name)}`);
      if (!isShape(blob.shape)) malformed(paramName, `${quote(key)} has shape ${printShape(blob.shape)}`);
      tensors.set(key, readBlob(cursor, key, blob));
    }
  }
  if (cursor.remaining > 0) {
    malformed(
      binName,
      `the .bin has ${cursor.remaining} bytes more than the .param tells: they are not a pair`,
    );
  }
  return { name, format: 'ncnn', tensors, metadata: {} };
}

function readParam(name: string, text: string): Layer[] {
  const [magic, counts, ...lines] = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  if (magic?.trim() !== PARAM_MAGIC) malformed(name, 'it does not begin with 7767517');
  const declared = Number(counts?.trim().split(/\s+/)[0]);
  if (declared !== lines.length) malformed(name, `${lines.length} layers where its header says ${declared}`);
  return lines.map((line) => readLayer(name, line));
}

/** `type name inputCount outputCount inputs… outputs… id=value…` */
function readLayer(name: string, line: string): Layer {
  const [type, layer, inputs, outputs, ...rest] = line.trim().split(/\s+/);
  const blobs = Number(inputs) + Number(outputs);
  if (type === undefined || layer === undefined || !(blobs >= 0 && blobs <= rest.length)) {
    malformed(name, `the line ${quote(line.trim())}`);
  }
  const params = new Map<number, number>();
  for (const text of rest.slice(blobs)) {
    const [id, value] = text.split('=').map(Number);
    if (id !== undefined && id >= 0 && value !== undefined) params.set(id, value);
  }
  return { type, name: layer, params };
}

function blobsOf(name: string, { type, name: layer, params }: Layer): readonly Blob[] {
  if (WEIGHTLESS.has(type)) return [];
  const blobs = LAYERS.get(type);
  if (!blobs) {
    fail(`${name}: layer ${quote(layer)} is of type ${quote(type)}, which is not one of those read here`, {
      notes: [`layers with weights: ${[...LAYERS.keys()].join(', ')}`],
      help: 'use the PyTorch or safetensors file of the same model',
    });
  }
  if (type !== 'PReLU' && type !== 'BatchNorm' && params.get(8)) refuse8Bit(name, layer);
  return blobs(params);
}

/** 0 outputs, 1 kernel width, 11 kernel height, 5 bias, 6 weight count. */
function convolution(params: Params): readonly Blob[] {
  const outputs = params.get(0) ?? 0;
  const width = params.get(1) ?? 0;
  const height = params.get(11) ?? width;
  const inputs = (params.get(6) ?? 0) / (outputs * width * height);
  const weight: Blob = { leaf: 'weight', shape: [outputs, inputs, height, width], tagged: true };
  return params.get(5) ? [weight, { leaf: 'bias', shape: [outputs] }] : [weight];
}

/** 0 outputs, 1 bias, 2 weight count. */
function innerProduct(params: Params): readonly Blob[] {
  const outputs = params.get(0) ?? 0;
  const weight: Blob = { leaf: 'weight', shape: [outputs, (params.get(2) ?? 0) / outputs], tagged: true };
  return params.get(1) ? [weight, { leaf: 'bias', shape: [outputs] }] : [weight];
}

function batchNorm(params: Params): readonly Blob[] {
  const shape = [params.get(0) ?? 0];
  return ['weight', 'running_mean', 'running_var', 'bias'].map((leaf) => ({ leaf, shape }));
}

function readBlob(cursor: Cursor, key: string, { shape, tagged }: Blob): WeightTensor {
  const dtype = tagged ? TAGS.get(cursor.u32()) : 'f32';
  if (!dtype) refuse8Bit(cursor.name, key);
  const bytes = cursor.take(elementsOf(shape) * DTYPES[dtype].width);
  if (tagged && bytes.length % 4) cursor.take(4 - (bytes.length % 4)); // arrays are padded to 4 bytes
  return { shape, dtype, data: DTYPES[dtype].decode(bytes) };
}

function refuse8Bit(name: string, key: string): never {
  fail(`${name}: ${quote(key)} is stored in 8 bits`, {
    notes: ['readable: 32-bit and 16-bit floats'],
    help: 'use the model that was not quantized',
  });
}

function malformed(name: string, note: string): never {
  fail(`${name}: not a readable ncnn model`, {
    notes: [note],
    help: 'pass a .param and the .bin that came with it, unchanged',
  });
}
