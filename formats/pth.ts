// PyTorch checkpoints in both layouts: since 1.6 a zip archive of `data.pkl` and one file per storage; before, five
// pickles in a row and then the storages. Data is little-endian; what a big-endian machine wrote is refused.
// torch/serialization.py: _save and _legacy_save.

import { fail } from '../diagnostics.js';
import { Cursor, decodeText } from './cursor.js';
import { DTYPES } from './dtype.js';
import { unpickle, type Value } from './pickle.js';
import { readStateDict, type Storage, torchHost } from './torch.js';
import { quote } from './values.js';
import type { WeightFile } from './weights.js';
import { readZip } from './zip.js';

/** The first pickle of the layout before 1.6. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

export function readZipPth(name: string, bytes: Uint8Array): WeightFile {
  const files = readZip(name, bytes);
  const pickle = [...files.keys()].find((path) => /^[^/]+\/data\.pkl$/.test(path));
  const program = pickle && files.get(pickle)?.();
  if (!program) {
    fail(`${name}: a zip archive, but not one of PyTorch`, {
      notes: ['it holds no data.pkl'],
      help: 'if the weights are inside, unpack it first',
    });
  }
  const root = pickle.slice(0, pickle.indexOf('/') + 1);
  const open = (path: string): Uint8Array | undefined => files.get(root + path)?.();
  if (files.has(`${root}constants.pkl`)) {
    fail(`${name}: a TorchScript program, not a state dict`, {
      help: 'in Python: torch.save(torch.jit.load(path).state_dict(), "weights.pth")',
    });
  }
  const order = open('byteorder');
  if (order && decodeText(order) !== 'little') refuseBigEndian(name);

  const value = unpickle(new Cursor(name, program), torchHost(name, bytes.length, new Map()));
  const bytesOf = (storage: Storage): Uint8Array => {
    const data = open(`data/${storage.key}`);
    const size = storage.length * DTYPES[storage.dtype].width;
    if (data?.length !== size) {
      damaged(
        name,
        `storage ${quote(storage.key)} should have ${size} bytes, it has ${data?.length ?? 'none'}`,
      );
    }
    return data;
  };
  return { name, format: 'pth', ...readStateDict(name, value, bytesOf) };
}

export function readLegacyPth(name: string, bytes: Uint8Array): WeightFile {
  const cursor = new Cursor(name, bytes);
  const storages = new Map<string, Storage>();
  const host = torchHost(name, bytes.length, storages);
  if (unpickle(cursor, host) !== MAGIC) {
    fail(`${name}: a pickle, but not one of PyTorch`, {
      help: 'save the weights with torch.save(net.state_dict(), "weights.pth")',
    });
  }
  const protocol = unpickle(cursor, host);
  if (protocol !== PROTOCOL) damaged(name, `protocol ${String(protocol)} instead of ${PROTOCOL}`);
  const system = unpickle(cursor, host);
  if (system instanceof Map && system.get('little_endian') === false) refuseBigEndian(name);
  const value = unpickle(cursor, host);
  const located = locateStorages(cursor, unpickle(cursor, host), storages);
  const bytesOf = (storage: Storage): Uint8Array =>
    located.get(storage) ?? damaged(name, `storage ${quote(storage.key)} is missing`);
  return { name, format: 'pth', ...readStateDict(name, value, bytesOf) };
}

/** After the pickles, for each key: its element count in 8 bytes, then its data. */
function locateStorages(
  cursor: Cursor,
  keys: Value,
  storages: ReadonlyMap<string, Storage>,
): Map<Storage, Uint8Array> {
  if (!Array.isArray(keys)) damaged(cursor.name, 'the list of storages is missing');
  const located = new Map<Storage, Uint8Array>();
  for (const key of keys) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage) damaged(cursor.name, 'a storage is listed that no tensor uses');
    const length = cursor.u64();
    if (length !== storage.length) {
      damaged(cursor.name, `storage ${quote(storage.key)} has ${length} elements, not ${storage.length}`);
    }
    located.set(storage, cursor.take(length * DTYPES[storage.dtype].width));
  }
  return located;
}

function refuseBigEndian(name: string): never {
  fail(`${name}: written on a big-endian machine`, {
    help: 'load it in Python on a common machine and save it again: torch.save(torch.load(path), "weights.pth")',
  });
}

function damaged(name: string, note: string): never {
  fail(`${name}: the checkpoint is damaged`, { notes: [note], help: 'download it again' });
}
