// TensorFlow.js layers models: `model.json` holds the Keras topology and a manifest of weights in shards. The manifest
// is sorted by name, so execution order comes from the topology. Kernels are HWIO there and OIHW here.
// https://github.com/tensorflow/tfjs: tfjs-core/src/io/types.ts, tfjs-converter.

import { fail } from '../diagnostics.js';
import { Cursor, decodeText } from './cursor.js';
import { DTYPES } from './dtype.js';
import { elementsOf, isRecord, isShape, parseObject, printShape, quote } from './values.js';
import type { WeightFile, WeightTensor } from './weights.js';

/** What the layers with weights call their parts, in PyTorch's words. */
const LEAVES: Readonly<Record<string, ReadonlyMap<string, string>>> = {
  Conv2D: new Map([
    ['kernel', 'weight'],
    ['bias', 'bias'],
  ]),
  PReLU: new Map([['alpha', 'weight']]),
  BatchNormalization: new Map([
    ['gamma', 'weight'],
    ['beta', 'bias'],
    ['moving_mean', 'running_mean'],
    ['moving_variance', 'running_var'],
  ]),
};

interface Group {
  readonly paths: readonly string[];
  readonly weights: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

export interface TfjsModel {
  readonly layers: readonly { readonly name: string; readonly type: string }[];
  readonly groups: readonly Group[];
}

/** By content: JSON that carries a weights manifest. */
export function isTfjs(bytes: Uint8Array): boolean {
  return /^\s*\{/.test(decodeText(bytes.subarray(0, 64))) && decodeText(bytes).includes('"weightsManifest"');
}

export function parseTfjs(name: string, bytes: Uint8Array): TfjsModel {
  const model = parseObject(name, 'the model', decodeText(bytes));
  if (model.format === 'graph-model') {
    fail(`${name}: a TensorFlow.js graph model`, {
      notes: ['its converter folds and renames layers, so weights cannot be told apart'],
      help: 'use the layers model (model.json with "format": "layers-model")',
    });
  }
  if (!Array.isArray(model.weightsManifest)) malformed(name, 'weightsManifest is not a list');
  const groups = model.weightsManifest.map((group) => readGroup(name, group));
  const paths = groups.flatMap((group) => group.paths);
  if (new Set(paths).size < paths.length) malformed(name, 'a shard is listed twice');
  return { layers: readTopology(name, model.modelTopology), groups };
}

/** The model from its shards, which `shard` gives by the path in the manifest. */
export function readTfjs(name: string, model: TfjsModel, shard: (path: string) => Uint8Array): WeightFile {
  const stored = new Map<string, WeightTensor>();
  for (const { paths, weights } of model.groups) {
    const cursor = new Cursor(name, concat(paths.map(shard)));
    for (const { name: key, shape } of weights) {
      if (stored.has(key)) malformed(name, `two weights are named ${quote(key)}`);
      const data = DTYPES.f32.decode(cursor.take(elementsOf(shape) * DTYPES.f32.width));
      stored.set(key, { shape, dtype: 'f32', data });
    }
    if (cursor.remaining)
      malformed(name, `its shards have ${cursor.remaining} bytes more than its weights need`);
  }
  return { name, format: 'tfjs', tensors: inExecutionOrder(name, model, stored), metadata: {} };
}

function inExecutionOrder(
  name: string,
  model: TfjsModel,
  stored: ReadonlyMap<string, WeightTensor>,
): Map<string, WeightTensor> {
  const byLayer = new Map<string, [part: string, tensor: WeightTensor][]>();
  for (const [key, tensor] of stored) {
    const slash = key.lastIndexOf('/');
    const layer = key.slice(0, Math.max(slash, 0));
    const parts = byLayer.get(layer) ?? [];
    parts.push([key.slice(slash + 1), tensor]);
    byLayer.set(layer, parts);
  }
  const tensors = new Map<string, WeightTensor>();
  for (const layer of model.layers) {
    for (const [part, tensor] of byLayer.get(layer.name) ?? []) {
      const leaf = LEAVES[layer.type]?.get(part);
      if (!leaf) {
        fail(`${name}: layer ${quote(layer.name)} of type ${quote(layer.type)} has weights ${quote(part)}`, {
          notes: [`layers with weights that are read: ${Object.keys(LEAVES).join(', ')}`],
          help: 'a network of convolutions is needed',
        });
      }
      tensors.set(`${layer.name}.${leaf}`, toTorch(name, layer.name, tensor));
    }
    byLayer.delete(layer.name);
  }
  const [orphan] = byLayer.keys();
  if (orphan !== undefined)
    malformed(name, `weights of ${quote(orphan)}, which is not a layer of the topology`);
  return tensors;
}

/** HWIO kernels become OIHW; PReLU slopes shared over height and width are [1, 1, C]. */
function toTorch(name: string, layer: string, tensor: WeightTensor): WeightTensor {
  const { shape, data } = tensor;
  const [height = 1, width = 1, inputs = 1, outputs = 1] = shape;
  if (shape.length === 1) return tensor;
  if (shape.length === 3 && height * width === 1) return { ...tensor, shape: [inputs] };
  if (shape.length !== 4) malformed(name, `${quote(layer)} has a weight of shape ${printShape(shape)}`);
  const out = new Float32Array(data.length);
  const rows = height * width * inputs;
  for (let o = 0; o < outputs; o++) {
    for (let row = 0; row < rows; row++) {
      const tap = Math.floor(row / inputs);
      out[(o * inputs + (row % inputs)) * height * width + tap] = data[row * outputs + o]!;
    }
  }
  return { ...tensor, shape: [outputs, inputs, height, width], data: out };
}

/** Layers of a Sequential or Functional model. Keras lists them so that inputs come first; that is checked. */
function readTopology(name: string, topology: unknown): TfjsModel['layers'] {
  const model = isRecord(topology) && isRecord(topology.model_config) ? topology.model_config : topology;
  const config = isRecord(model) ? model.config : undefined;
  const layers = isRecord(config) ? config.layers : config;
  if (!Array.isArray(layers)) malformed(name, 'modelTopology has no list of layers');
  const seen = new Set<string>();
  return layers.map((layer: unknown) => {
    const inner = isRecord(layer) && isRecord(layer.config) ? layer.config : {};
    if (!isRecord(layer) || typeof layer.class_name !== 'string' || typeof inner.name !== 'string') {
      malformed(name, 'a layer without class_name and name');
    }
    for (const input of inputsOf(layer.inbound_nodes)) {
      if (!seen.has(input)) malformed(name, `${quote(inner.name)} comes before its input ${quote(input)}`);
    }
    if (seen.has(inner.name)) malformed(name, `two layers are named ${quote(inner.name)}`);
    seen.add(inner.name);
    return { name: inner.name, type: layer.class_name };
  });
}

/** `[[["conv2d", 0, 0, {}], …], …]` */
function inputsOf(nodes: unknown): string[] {
  const inputs = Array.isArray(nodes) ? nodes.flat() : [];
  return inputs.flatMap((input) => (Array.isArray(input) && typeof input[0] === 'string' ? [input[0]] : []));
}

function readGroup(name: string, group: unknown): Group {
  const { paths, weights } = isRecord(group) ? group : {};
  if (!Array.isArray(paths) || !Array.isArray(weights)) malformed(name, 'a group without paths and weights');
  return {
    paths: paths.map((path: unknown) => {
      // A shard lies beside its model; anything else would read files of the manifest's choosing.
      if (typeof path === 'string' && /^[\w.-][\w. -]*$/.test(path) && !path.startsWith('..')) return path;
      return malformed(name, `the shard path ${quote(String(path))}`);
    }),
    weights: weights.map((weight: unknown) => readSpec(name, weight)),
  };
}

function readSpec(name: string, weight: unknown): Group['weights'][number] {
  if (!isRecord(weight) || typeof weight.name !== 'string' || !isShape(weight.shape)) {
    malformed(name, 'a weight without name and shape');
  }
  if (weight.dtype !== 'float32' || weight.quantization !== undefined) {
    const quantized = isRecord(weight.quantization) ? weight.quantization.dtype : undefined;
    fail(`${name}: ${quote(weight.name)} is stored as ${quote(String(quantized ?? weight.dtype))}`, {
      notes: ['readable: float32 without quantization'],
      help: 'convert the model again without quantization',
    });
  }
  return { name: weight.name, shape: weight.shape };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function malformed(name: string, note: string): never {
  fail(`${name}: not a readable TensorFlow.js layers model`, { notes: [note], help: 'download it again' });
}
