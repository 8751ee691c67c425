// Reads any weight file: what it is comes from its content, never from its name's ending. ncnn and tfjs models are
// several files; the others are asked for by name.

import { fail } from '../diagnostics.js';
import { stripPrefixes } from './keys.js';
import { looksLikeBin, PARAM_MAGIC, readNcnn } from './ncnn.js';
import { readLegacyPth, readZipPth } from './pth.js';
import { isSafetensors, readSafetensors } from './safetensors.js';
import { isTfjs, parseTfjs, readTfjs } from './tfjs.js';
import { quote } from './values.js';
import type { Companion, WeightFile } from './weights.js';

const READABLE = 'PyTorch .pth, safetensors, ncnn .param with .bin, TensorFlow.js layers model.json';

/** Files people pass by mistake, by their first bytes (latin1). */
const FOREIGN: readonly (readonly [start: string, what: string, help: string])[] = [
  ['\x89PNG', 'a PNG image', 'pass it with --input'],
  ['\xff\xd8\xff', 'a JPEG image', 'pass it with --input'],
  ['\x89HDF', 'a Keras .h5 file', 'convert it with tensorflowjs_converter to a layers model'],
  ['\x08', 'perhaps an ONNX model', 'use the PyTorch or safetensors file it was made from'],
  ['GGUF', 'a GGUF file', 'use the PyTorch or safetensors file it was made from'],
  ['\x1f\x8b', 'gzip data', 'unpack it first'],
  ['7z\xbc\xaf', 'a 7z archive', 'unpack it first'],
  ['Rar!', 'a RAR archive', 'unpack it first'],
  ['version https://git-lfs', 'a pointer of git-lfs', 'fetch the file itself: git lfs pull'],
  ['<', 'a web page or XML', 'the download gave a page, not the file: download it again'],
];

/** Reads the weight file `name`. `companion` finds the other files of ncnn and tfjs models. */
export async function readWeights(
  name: string,
  bytes: Uint8Array,
  companion: Companion = () => undefined,
): Promise<WeightFile> {
  const file = await readAny(name, bytes, companion);
  if (file.tensors.size === 0)
    fail(`${name}: holds no tensors`, { help: 'pass a file with trained weights' });
  return stripPrefixes(file);
}

async function readAny(name: string, bytes: Uint8Array, companion: Companion): Promise<WeightFile> {
  const start = latin1(bytes.subarray(0, 64));
  if (isSafetensors(bytes)) return readSafetensors(name, bytes);
  if (start.startsWith('PK')) return readZipPth(name, bytes);
  if (start.startsWith('\x80')) return readLegacyPth(name, bytes);
  if (start.trimStart().startsWith(PARAM_MAGIC)) {
    const path = sibling(name, '.bin');
    const bin = await companion(path);
    return readNcnn(
      name,
      [name, bytes],
      [path, bin ?? missing(name, path, 'the weights of this ncnn model')],
    );
  }
  if (isTfjs(bytes)) return readShards(name, bytes, companion);

  // An ncnn .bin has no magic: it is one when its .param is there.
  const path = sibling(name, '.param');
  const param = await companion(path);
  if (param && latin1(param.subarray(0, 64)).trimStart().startsWith(PARAM_MAGIC)) {
    return readNcnn(name, [path, param], [name, bytes]);
  }
  if (looksLikeBin(bytes)) missing(name, path, 'the layers of this ncnn model');
  return refuse(name, bytes, start);
}

async function readShards(name: string, bytes: Uint8Array, companion: Companion): Promise<WeightFile> {
  const model = parseTfjs(name, bytes);
  const shards = new Map<string, Uint8Array>();
  for (const path of model.groups.flatMap((group) => group.paths)) {
    const full = folderOf(name) + path;
    shards.set(path, (await companion(full)) ?? missing(name, full, 'weights of this TensorFlow.js model'));
  }
  return readTfjs(name, model, (path) => shards.get(path)!);
}

function refuse(name: string, bytes: Uint8Array, start: string): never {
  if (bytes.length === 0) fail(`${name}: the file is empty`, { help: 'download it again' });
  const [, what, help] = FOREIGN.find(([prefix]) => start.startsWith(prefix)) ?? [];
  fail(`${name}: ${what ?? 'not a weight file'}`, {
    notes: [`it begins with ${quote(start.slice(0, 16))}`, `readable: ${READABLE}`],
    help: help ?? 'pass one of these',
  });
}

function missing(name: string, path: string, what: string): never {
  fail(`${name}: ${what} should be in ${path}, which was not found`, {
    help: 'keep both files in one folder',
  });
}

function folderOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
}

/** `dir/model.bin` -> `dir/model.param` */
function sibling(name: string, extension: string): string {
  const file = name.slice(folderOf(name).length);
  const dot = file.lastIndexOf('.');
  return folderOf(name) + (dot > 0 ? file.slice(0, dot) : file) + extension;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
