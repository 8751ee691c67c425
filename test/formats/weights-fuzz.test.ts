// Random bytes, and valid files of every format cut and damaged: the answer is a well-formed file or a `UserError`,
// soon, and never much larger than what came in.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { blend } from '../../formats/blend.js';
import { describeWeights } from '../../formats/describe.js';
import { readWeights } from '../../formats/detect.js';
import { matchWeights } from '../../formats/match.js';
import { writeSafetensors } from '../../formats/safetensors.js';
import { elementsOf } from '../../formats/values.js';
import {
  dictOp,
  f32Bytes,
  fileOf,
  fixture,
  ncnnBin,
  ncnnParam,
  rrdb,
  storageOp,
  tensorOp,
  tfjsModel,
  tfjsShards,
  zipPth,
} from './weights-samples.js';

type Files = Readonly<Record<string, Uint8Array>>;

/** A single case takes a millisecond or so; this is far above any noise and far below a hang. */
const MAX_MS = 2000;

const graph = rrdb({ blocks: 1 });
const reference = fileOf(rrdb({ blocks: 1 }, 'old'));
const bag = writeSafetensors(fileOf(rrdb({ blocks: 1, features: 2, growth: 1 }, 'old')).tensors, { a: 'b' });

/** Each sample's first file is the one passed. */
const samples: Readonly<Record<string, Files>> = {
  safetensors: { 'a.safetensors': bag },
  'zip pth': { 'a.pth': fixture('tensors-zip.pth') },
  'wrapped zip pth': { 'a.pth': fixture('wrapped-zip.pth') },
  'deflated pth': {
    'a.pth': zipPth(
      dictOp({ 'model.0.weight': tensorOp(storageOp('0', 6), [2, 3], [1, 2]) }),
      { 'data/0': f32Bytes(1, 2, 3, 4, 5, 6) },
      1,
    ),
  },
  'protocol 4 pth': { 'a.pth': fixture('tensors-protocol4.pth') },
  'pth before 1.6': { 'a.pth': fixture('tensors-legacy.pth') },
  'ncnn .param': { 'a.param': ncnnParam, 'a.bin': ncnnBin },
  'ncnn .bin': { 'a.bin': ncnnBin, 'a.param': ncnnParam },
  tfjs: { 'model.json': tfjsModel(), ...tfjsShards },
};

async function survives(files: Files): Promise<void> {
  const [[name, bytes] = ['', new Uint8Array(0)]] = Object.entries(files);
  const size = Object.values(files).reduce((total, { length }) => total + length, 0);
  const start = performance.now();
  const expected = async (run: () => unknown): Promise<void> => {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      expect(error.diagnostics[0]!.help).toBeTruthy();
      expect(JSON.stringify(error.diagnostics).length).toBeLessThan(4000);
    }
  };
  await expected(async () => {
    const file = await readWeights(name, bytes, (companion) => files[companion]);
    let values = 0;
    for (const { shape, data } of file.tensors.values()) {
      expect(data.length).toBe(elementsOf(shape));
      values += data.length;
    }
    expect(values).toBeLessThanOrEqual(4 * size);
    describeWeights(file);
    await expected(() => matchWeights(graph, file));
    await expected(() => blend(file, reference, 0.5));
  });
  expect(performance.now() - start).toBeLessThan(MAX_MS);
}

/** Edits at places given as parts of the length: new bytes, a copied or removed range, an extreme 32-bit value. */
const edit = fc.oneof(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.constantFrom(
      Uint8Array.of(0xff, 0xff, 0xff, 0xff),
      Uint8Array.of(0xff, 0xff, 0xff, 0x7f),
      Uint8Array.of(0, 0, 0, 0),
      Uint8Array.of(0, 0, 0, 0x80),
    ),
  }),
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.nat(20),
    bytes: fc.uint8Array({ maxLength: 8 }),
  }),
);

type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;

function apply(bytes: Uint8Array, change: Edit): Uint8Array {
  const at = Math.floor(change.at * bytes.length);
  const removed = 'remove' in change ? change.remove : change.bytes.length;
  return Uint8Array.from([...bytes.subarray(0, at), ...change.bytes, ...bytes.subarray(at + removed)]);
}

test('random bytes, also behind the beginning of each format', async () => {
  const starts = Object.values(samples).map((files) => Object.values(files)[0]!.subarray(0, 24));
  const start = fc.constantFrom(new Uint8Array(0), ...starts);
  await fc.assert(
    fc.asyncProperty(start, fc.nat(24), fc.uint8Array({ maxLength: 200 }), async (head, cut, tail) => {
      await survives({ a: Uint8Array.from([...head.subarray(0, cut), ...tail]) });
    }),
    { numRuns: 1000 },
  );
});

describe.each(Object.entries(samples))('%s', (_, files) => {
  test('is valid to begin with', async () => {
    const [[name, bytes] = ['', new Uint8Array(0)]] = Object.entries(files);
    const file = await readWeights(name, bytes, (companion) => files[companion]);
    expect(file.tensors.size).toBeGreaterThan(0);
  });

  test('cut anywhere', async () => {
    for (const [name, bytes] of Object.entries(files)) {
      const step = Math.max(1, Math.floor(bytes.length / 150));
      for (let length = 0; length < bytes.length; length += step) {
        await survives({ ...files, [name]: bytes.subarray(0, length) });
      }
    }
  });

  test('damaged anywhere', async () => {
    const names = Object.keys(files);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        async (name, edits) => {
          await survives({ ...files, [name]: edits.reduce(apply, files[name]!) });
        },
      ),
      { numRuns: 400 },
    );
  });
});

test('random pickle programs', async () => {
  const opcodes = [...'(.012FGIJKLMNPQRSTUVX]abcdeghijlopqrstu}'].map((c) => c.charCodeAt(0));
  const opcode = fc.constantFrom(...opcodes, ...Array.from({ length: 25 }, (_, i) => 0x80 + i));
  const program = fc.array(fc.oneof({ weight: 4, arbitrary: opcode }, fc.nat(255)), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(program, async (bytes) => {
      await survives({ a: zipPth(Uint8Array.from(bytes)) });
    }),
    { numRuns: 1500 },
  );
});
