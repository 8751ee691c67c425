// Constants: each operation against its definition, and the two upsampling rewrites against what they replace.

import { describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { applyConstantOp, checkWeights, evaluateConstant, type Values } from '../../runtime/constants.js';

function values(shape: number[], data?: number[]): Values {
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape, data: Float64Array.from(data ?? Array.from({ length: size }, (_, i) => Math.sin(i + 1))) };
}

test('pointwise rows broadcast one value and one value per channel', () => {
  const x = values([1, 2, 1, 2], [1, 2, 3, 4]);
  expect([...applyConstantOp('add', [x, values([2], [10, 20])], {}).data]).toEqual([11, 12, 23, 24]);
  expect([...applyConstantOp('sub', [values([2], [10, 20]), x], {}).data]).toEqual([9, 8, 17, 16]);
  expect([...applyConstantOp('mul', [x, values([], [2])], {}).data]).toEqual([2, 4, 6, 8]);
  expect([...applyConstantOp('scale', [x], { by: 3 }).data]).toEqual([3, 6, 9, 12]);
  expect(() => applyConstantOp('add', [x, values([3])], {})).toThrow(
    'internal: cannot broadcast [3] to [1,2,1,2]',
  );
});

test('scale_out multiplies each filter', () => {
  const scaled = applyConstantOp(
    'scale_out',
    [values([2, 1, 1, 2], [1, 2, 3, 4]), values([2], [10, 100])],
    {},
  );
  expect([...scaled.data]).toEqual([10, 20, 300, 400]);
});

test('shuffle_rows puts the phases first', () => {
  const rows = applyConstantOp('shuffle_rows', [values([8], [0, 1, 2, 3, 4, 5, 6, 7])], { factor: 2 });
  expect([...rows.data]).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
});

test('phase_weight: four 2x2 convs are nearest-x2 and then the 3x3 conv', () => {
  const weight = values([2, 3, 3, 3]);
  const phases = applyConstantOp('phase_weight', [weight], {});
  expect(phases.shape).toEqual([8, 3, 2, 2]);
  const [height, width] = [3, 4];
  const image = values([3, height, width]);
  const pixel = (c: number, y: number, x: number): number =>
    y < 0 || x < 0 || y >= height || x >= width ? 0 : image.data[(c * height + y) * width + x]!;
  for (let o = 0; o < 2; o++) {
    for (let y = 0; y < 2 * height; y++) {
      for (let x = 0; x < 2 * width; x++) {
        const [i, j] = [y % 2, x % 2];
        let direct = 0;
        let phased = 0;
        for (let c = 0; c < 3; c++) {
          for (let t = 0; t < 9; t++) {
            const [py, px] = [y + Math.floor(t / 3) - 1, x + (t % 3) - 1];
            direct += pixel(c, Math.floor(py / 2), Math.floor(px / 2)) * weight.data[(o * 3 + c) * 9 + t]!;
          }
          for (let t = 0; t < 4; t++) {
            const [py, px] = [(y >> 1) + (t >> 1) + i - 1, (x >> 1) + (t & 1) + j - 1];
            phased += pixel(c, py, px) * phases.data[(((2 * i + j) * 2 + o) * 3 + c) * 4 + t]!;
          }
        }
        expect(phased).toBeCloseTo(direct, 12);
      }
    }
  }
});

describe('expressions', () => {
  const variance = { param: 'bn.var', shape: [2] };
  const inverse = {
    op: 'rsqrt',
    attrs: {},
    args: [{ op: 'offset', attrs: { by: 1 }, args: [variance], shape: [2] }],
    shape: [2],
  };

  test('are evaluated in f64 and rounded once', () => {
    const weights = new Map([['bn.var', Float32Array.of(3, 8)]]);
    expect([...evaluateConstant(inverse, weights)]).toEqual([0.5, Math.fround(1 / 3)]);
    expect([...evaluateConstant({ values: [1, 2], shape: [2] }, weights)]).toEqual([1, 2]);
    const spread = (values: number[], by: number[]) =>
      evaluateConstant(
        { op: 'expand', args: [{ values, shape: by }], attrs: {}, shape: [1, 2, 1, 2] },
        weights,
      );
    expect([...spread([0.5], [])]).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect([...spread([1, 2], [2])]).toEqual([1, 1, 2, 2]);
  });

  test('with another shape than the plan says are a bug of ours', () => {
    const weights = new Map([['bn.var', Float32Array.of(3, 8)]]);
    expect(() => evaluateConstant({ ...inverse, shape: [3] }, weights)).toThrow('internal: constant rsqrt');
  });
});

test('unusable weights are listed, ten at most', () => {
  const parameters = Array.from({ length: 12 }, (_, i) => ({ name: `w${i}`, shape: [2] }));
  expect(() => checkWeights(parameters.slice(0, 1), new Map([['w0', new Float32Array(2)]]))).not.toThrow();
  try {
    checkWeights(parameters, new Map());
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    const [diagnostic] = (error as UserError).diagnostics;
    expect(diagnostic!.message).toBe("12 of the network's 12 weights cannot be used");
    expect(diagnostic!.notes).toHaveLength(11);
    expect(diagnostic!.notes!.at(-1)).toBe('… and 2 more');
  }
});
