import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blend } from '../../formats/blend.js';
import { matchWeights } from '../../formats/match.js';
import { errorOf, fileOf, rrdb, shuffled } from './weights-samples.js';

const old = fileOf(rrdb({}, 'old'), 'pth', 'old.pth');
const basicsr = shuffled(fileOf(rrdb({}, 'basicsr'), 'safetensors', 'new.safetensors'));

test('(1 - alpha) * a + alpha * b, in the names and the order of a', () => {
  const b = {
    ...old,
    tensors: new Map([...old.tensors].map(([k, t]) => [k, { ...t, data: t.data.map((v) => v + 8) }])),
  };
  const mixed = blend(old, shuffled(b), 0.25);
  expect([...mixed.tensors.keys()]).toEqual([...old.tensors.keys()]);
  for (const [name, { data }] of mixed.tensors) {
    expect(data).toEqual(old.tensors.get(name)!.data.map((value) => value + 2));
  }
});

test('the ends are the files, and the middle lies between', () => {
  expect(blend(old, basicsr, 0).tensors).toEqual(old.tensors);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (alpha) => {
      const value = blend(old, basicsr, alpha).tensors.get('model.10.bias')!.data[2]!;
      expect(value).toBeCloseTo(old.tensors.get('model.10.bias')!.data[2]!, 4);
    }),
    { numRuns: 5 },
  );
});

test('across families: the same pairs as through a graph', () => {
  const parameters = rrdb();
  const direct = blend(old, basicsr, 0.5);
  const [ours, theirs] = [matchWeights(parameters, old), matchWeights(parameters, basicsr)];
  const throughGraph = new Map(
    [...ours].map(([name, data]) => [
      name,
      data.map((value, i) => 0.5 * value + 0.5 * theirs.get(name)![i]!),
    ]),
  );
  expect(matchWeights(parameters, direct)).toEqual(throughGraph);
});

describe('refuses', () => {
  test('networks that differ', async () => {
    expect(await errorOf(() => blend(old, fileOf(rrdb({ blocks: 1 }, 'new')), 0.5))).toMatchInlineSnapshot(`
      "error: old.pth and test.pth cannot be blended: they are not of one network
        = old.pth has 72 tensors (ESRGAN 2018 ("old-arch"))
        = test.pth has 42 tensors (ESRGAN repository ("new-arch"))
        = help: blend checkpoints of the same network; with a graph, \`src run --weights A --blend B\` names them alike
      "
    `);
    expect(await errorOf(() => blend(old, fileOf(rrdb({ growth: 6 }, 'old')), 0.5))).toContain(
      'tensors differ',
    );
  });

  test('names that cannot be paired', async () => {
    expect(await errorOf(() => blend(fileOf(rrdb()), old, 0.5))).toMatchInlineSnapshot(`
      "error: test.pth and old.pth cannot be blended: they are not of one network
        = the names differ, and not both files have a key family that gives their order
        = only in test.pth: "conv.0.weight", "conv.0.bias", "body.0.rdb.0.conv.0.weight", "body.0.rdb.0.conv.0.bias", "body.0.rdb.0.conv.1.weight", … and 67 more
        = only in old.pth: "model.0.weight", "model.0.bias", "model.1.sub.0.RDB1.conv1.0.weight", "model.1.sub.0.RDB1.conv1.0.bias", "model.1.sub.0.RDB1.conv2.0.weight", … and 67 more
        = help: blend checkpoints of the same network; with a graph, \`src run --weights A --blend B\` names them alike
      "
    `);
  });

  test.each([-0.1, 1.5, Number.NaN])('alpha %d', async (alpha) => {
    expect(await errorOf(() => blend(old, basicsr, alpha))).toContain('is not between 0 and 1');
  });
});
