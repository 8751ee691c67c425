// What a PyTorch pickle builds, as data: the allow-list, references to storages, and the state dict found inside the
// wrappers that training code puts around it. Tensors are read from their storages only once they are wanted.

import { fail } from '../diagnostics.js';
import { DTYPES, type Dtype } from './dtype.js';
import { Global, type Host, type Opaque, type Value } from './pickle.js';
import { elementsOf, isIndex, isShape, printShape, printSome, quote } from './values.js';
import type { WeightTensor } from './weights.js';

/** A block of elements in the file. */
export class Storage implements Opaque {
  readonly kind = 'storage';
  readonly key: string;
  readonly dtype: Dtype;
  readonly length: number;

  constructor(key: string, dtype: Dtype, length: number) {
    this.key = key;
    this.dtype = dtype;
    this.length = length;
  }
}

/** A strided view of a storage; offset and strides count elements. */
class Tensor implements Opaque {
  readonly kind = 'tensor';
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

const STORAGES: ReadonlyMap<string, Dtype> = new Map([
  ['torch.FloatStorage', 'f32'],
  ['torch.HalfStorage', 'f16'],
  ['torch.BFloat16Storage', 'bf16'],
  ['torch.DoubleStorage', 'f64'],
  ['torch.LongStorage', 'i64'],
  ['torch.IntStorage', 'i32'],
]);

/** Where checkpoints keep their state dict, the preferred one first (averaged weights before raw ones). */
const WRAPPERS = ['model_state_dict', 'state_dict', 'params_ema', 'params-ema', 'params', 'model', 'net'];

/** Wrappers inside wrappers; a hostile dict may contain itself. */
const MAX_DEPTH = 4;

const NOT_PAIRS = 'an OrderedDict of something other than pairs';

/** Views may share elements (tied weights do); more than this many for each element stored is an attack. */
const MAX_SHARING = 4;

/** The allow-list for the file `name` of `size` bytes. Every storage that is named goes into `storages`. */
export function torchHost(name: string, size: number, storages: Map<string, Storage>): Host {
  // A pair of an OrderedDict's initial list is copied on each call, and a memoized list can be passed again and
  // again; in a real file every pair is written out, so there are fewer than bytes.
  let pairs = 0;
  const orderedDict = ([items = []]: readonly Value[]): Value => {
    if (!Array.isArray(items)) malformed(name, NOT_PAIRS);
    pairs += items.length;
    if (pairs > size) malformed(name, 'more dict entries than the file has bytes');
    return new Map(items.map((pair) => toPair(name, pair)));
  };
  const rebuildTensor = ([storage, offset, shape, strides]: readonly Value[]): Value => {
    if (!(storage instanceof Storage) || !isIndex(offset) || !isShape(shape) || !isShape(strides)) {
      malformed(name, 'a tensor without storage, offset, shape and strides');
    }
    if (shape.length !== strides.length) {
      malformed(name, `shape ${printShape(shape)} with strides ${printShape(strides)}`);
    }
    return new Tensor(storage, offset, shape, strides);
  };
  const rebuildParameter = ([tensor]: readonly Value[]): Value =>
    tensor instanceof Tensor ? tensor : malformed(name, 'a parameter without a tensor');

  return {
    globals: new Map([
      ['collections.OrderedDict', orderedDict],
      ['typing.OrderedDict', orderedDict],
      ['torch._utils._rebuild_tensor_v2', rebuildTensor],
      ['torch._utils._rebuild_parameter', rebuildParameter],
      ...[...STORAGES.keys()].map((global): [string, null] => [global, null]),
    ]),
    persistent(id) {
      const storage = toStorage(name, id);
      const known = storages.get(storage.key);
      if (!known) storages.set(storage.key, storage);
      else if (known.dtype !== storage.dtype || known.length !== storage.length) {
        malformed(name, `storage ${quote(storage.key)} has two types or sizes`);
      }
      return known ?? storage;
    },
  };
}

/** `('storage', torch.FloatStorage, key, location, length)`, and a view where PyTorch before 0.4 wrote one. */
function toStorage(name: string, id: Value): Storage {
  if (!Array.isArray(id) || id[0] !== 'storage') malformed(name, 'a persistent id that is not a storage');
  const [, type, key, , length, view = null] = id;
  const dtype = type instanceof Global ? STORAGES.get(type.name) : undefined;
  if (!dtype || typeof key !== 'string' || !isIndex(length)) {
    malformed(name, 'a storage without type, key and size');
  }
  if (view !== null) malformed(name, 'a view of a storage, as PyTorch before 0.4 wrote them');
  return new Storage(key, dtype, length);
}

function toPair(name: string, pair: Value): [Value, Value] {
  const [key, value] = Array.isArray(pair) ? pair : [];
  if (key === undefined || value === undefined) malformed(name, NOT_PAIRS);
  return [key, value];
}

/** The tensors of the checkpoint `value`, and the wrapper they were found in. */
export function readStateDict(
  name: string,
  value: Value,
  bytesOf: (storage: Storage) => Uint8Array,
): { tensors: Map<string, WeightTensor>; metadata: Record<string, string> } {
  const { dict, path } = unwrap(name, value);
  const entries = [...dict].filter(
    (entry): entry is [string, Tensor] => typeof entry[0] === 'string' && entry[1] instanceof Tensor,
  );
  if (entries.length === 0) {
    fail(`${name}: no tensors where a state dict should be`, {
      notes: [`its keys: ${printSome([...dict.keys()].map(printKey)) || 'none'}`],
      help: `save the state dict itself, or under one of ${WRAPPERS.join(', ')}`,
    });
  }
  const decoded = new Map<Storage, Float32Array>();
  const tensors = new Map<string, WeightTensor>();
  let [stored, wanted] = [0, 0];
  for (const [key, tensor] of entries) {
    const { shape, storage } = tensor;
    const data = decoded.get(storage) ?? DTYPES[storage.dtype].decode(bytesOf(storage));
    if (!decoded.has(storage)) stored += data.length;
    decoded.set(storage, data);
    wanted += elementsOf(shape);
    if (!(wanted <= MAX_SHARING * stored)) malformed(name, `${quote(key)} repeats stored elements`);
    tensors.set(key, { shape, dtype: storage.dtype, data: gather(name, key, tensor, data) });
  }
  return { tensors, metadata: path.length ? { wrapper: path.join('.') } : {} };
}

function unwrap(name: string, value: Value): { dict: Map<Value, Value>; path: readonly string[] } {
  if (!(value instanceof Map)) {
    fail(`${name}: holds ${value instanceof Tensor ? 'a single tensor' : 'no dict'}, not a state dict`, {
      help: 'save the network with torch.save(net.state_dict(), "weights.pth")',
    });
  }
  const path: string[] = [];
  let dict = value;
  while (path.length < MAX_DEPTH) {
    const wrapper = WRAPPERS.find((key) => dict.get(key) instanceof Map);
    const inner = wrapper === undefined ? undefined : dict.get(wrapper);
    if (wrapper === undefined || !(inner instanceof Map)) break;
    dict = inner;
    path.push(wrapper);
  }
  return { dict, path };
}

/** The elements of `tensor` in row-major order: a view where they lie so in the storage, else a copy. */
function gather(name: string, key: string, tensor: Tensor, data: Float32Array): Float32Array {
  const { shape, strides, offset } = tensor;
  const count = elementsOf(shape);
  const last = shape.reduce((index, size, axis) => index + (size - 1) * strides[axis]!, offset);
  if (count === 0) return new Float32Array(0);
  if (!(last < data.length)) {
    malformed(name, `${quote(key)} reaches element ${last} of a storage of ${data.length}`);
  }
  if (isContiguous(shape, strides)) return data.subarray(offset, offset + count);
  const out = new Float32Array(count);
  const index = shape.map(() => 0);
  for (let i = 0, at = offset; i < count; i++) {
    out[i] = data[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

function printKey(key: Value): string {
  return typeof key === 'string' ? quote(key) : typeof key;
}

function malformed(name: string, note: string): never {
  fail(`${name}: not a readable PyTorch checkpoint`, {
    notes: [note],
    help: 'load it in Python and save it again: torch.save(net.state_dict(), "weights.pth")',
  });
}
