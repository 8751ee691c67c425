// The convolution by subgroup matrices: its text is accepted by Dawn's null backend, which offers every feature, and its
// results are compared with plain loops where the device has matrices, as lavapipe does from Mesa 26 on.

import { describe, expect, test } from 'vitest';
import { type ConvClass, candidates } from '../../runtime/kernels/conv_family.js';
import { type Conv2dSpec, conv2d } from '../../runtime/kernels/conv2d.js';
import { dgrad } from '../../runtime/kernels/conv2d_backward.js';
import type { MatrixShape, MatrixTile } from '../../runtime/kernels/conv2d_matrix.js';
import type { PointwiseStep } from '../../runtime/kernels/kernel.js';
import { packConv, packVector } from '../../runtime/kernels/pack.js';
import { MATRICES } from '../../runtime/matrices.js';
import { matrix, type Storage, subgroupSize } from '../device.js';
import { openNullDevice } from '../null-device.js';
import { build, type Case } from './convolutions.js';
import { expectKernel, field, noisy, slab, view } from './tensors.js';

const validator = await openNullDevice([MATRICES, 'shader-f16', 'subgroups']);

if (!matrix) console.warn('\nNO SUBGROUP MATRICES: results of convolutions by them are NOT TESTED.\n');

const CLASS: ConvClass = {
  ...{ op: 'conv', kernel: [3, 3], stride: 1, phases: 1, inputs: 64, outputs: 64, dtype: 'f16' },
};
/** The largest size of a subgroup there is: workgroups must be whole subgroups of it. */
const WIDEST = 128;

function tilesOf(shape: MatrixShape, size: number, of: ConvClass = CLASS): MatrixTile[] {
  return candidates(of, { software: false, subgroupSize: size, matrix: shape }).flatMap(({ tile }) =>
    tile && 'matrix' in tile ? [tile] : [],
  );
}

describe.each([
  [8, 8, 8],
  [16, 16, 16],
  [16, 8, 16],
  [8, 16, 16],
] as const)('matrices of %i x %i x %i', (...shape) => {
  test.each(['conv', 'dgrad'] as const)('texts of a %s', async (op) => {
    const tiles = tilesOf(shape, 32, { ...CLASS, op });
    expect(tiles.length).toBeGreaterThan(1);
    const half = { dtype: 'f16' } as const;
    const [x, y] = [view(0, [1, 64, 64], 64, half), view(1, [1, 64, 64], 64, half)];
    for (const tile of tiles) {
      const choice = { variant: 'matrix', tile, subgroupSize: 32 } as const;
      const geometry = {
        kernel: [3, 3],
        stride: 1,
        pad: 1,
        weight: { slot: 2, ...half },
        ...choice,
      } as const;
      const { wgsl, features } =
        op === 'conv'
          ? conv2d({ x, y, phases: 1, phaseShift: 0, epilogue: [], ...geometry })
          : dgrad({ dy: x, dx: y, ...geometry, stride: 2 });
      expect(features).toEqual(['shader-f16', 'subgroups', MATRICES]);
      // Its subgroups are of up to 128 lanes, which ours must be too.
      const code = wgsl.replace(/@workgroup_size\(\d+\)/, `@workgroup_size(${WIDEST})`);
      const module = validator.createShaderModule({ code });
      const { messages } = await module.getCompilationInfo();
      expect(messages.map(({ message }) => message)).toEqual([]);
      await validator.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    }
  });
});

test('are for f16 and whole matrices of input channels, on devices that have them', () => {
  expect(tilesOf([16, 16, 16], 32, { ...CLASS, dtype: 'f32' })).toEqual([]);
  expect(tilesOf([16, 16, 16], 32, { ...CLASS, inputs: 72 })).toEqual([]);
  expect(tilesOf([8, 8, 8], 32, { ...CLASS, inputs: 72 })).not.toEqual([]);
  expect(tilesOf([16, 16, 16], 32, { ...CLASS, op: 'wgrad' })).toEqual([]);
  const without = candidates(CLASS, { software: false, subgroupSize: 32 });
  expect(without.filter(({ variant }) => variant === 'matrix')).toEqual([]);
});

describe.skipIf(!matrix || !subgroupSize)('results', () => {
  const variant = (
    tile: Omit<MatrixTile, 'matrix'>,
  ): Pick<Conv2dSpec, 'variant' | 'tile' | 'subgroupSize'> => ({
    ...{ variant: 'matrix', tile: { ...tile, matrix: matrix! } },
    ...(subgroupSize !== undefined && { subgroupSize }),
  });
  const [m = 8, n = 8, k = 8] = matrix ?? [];
  const small = variant({ width: m, height: 1, groups: n / 4, lanes: [1, 2, 1] });
  const large = variant({ width: m, height: 2, groups: n / 2, lanes: [2, 1, 2] });

  test.each([
    ['one pixel', small, { size: [1, 1, 1], channels: [4 * k, 5] }],
    ['awkward sizes', large, { size: [2, 7, 19], channels: [5 * k, 3 * n + 3] }],
    ['strides', small, { size: [1, 13, 15], channels: [k, 12], kernel: [4, 3], stride: 2 }],
    ['1x1', large, { size: [1, 9, 5], channels: [2 * k, n], kernel: [1, 1], pad: 0 }],
  ] as const)('%s', async (_, tile, c: Case) => {
    const { call, slots, y, expected } = build({ ...c, dtype: 'f16' }, tile);
    await expectKernel(call, slots, y, expected);
  });

  test('phases, with an epilogue', async () => {
    const packing = { kind: 'vector', length: 4, phases: 4 } as const;
    const bias: Storage = { dtype: 'f32', data: packVector(noisy(12, 5), packing) };
    const epilogue: PointwiseStep[] = [
      { op: 'add', operand: { vector: { slot: 3, dtype: 'f32', phased: true } } },
      { op: 'sigmoid' },
    ];
    const phased = { phases: 4, phaseShift: 1, kernel: [2, 2], operands: [bias], epilogue } as const;
    const c = { size: [2, 5, 6], channels: [2 * k, 3], dtype: 'f16', ...phased } as const;
    const { call, slots, y, expected } = build(c, small);
    await expectKernel(call, slots, y, expected);
  });

  test.each([1, 2, 3])('a gradient with stride %i', async (stride) => {
    const [size, inputs, outputs, half] = [[2, 9, 7], 12, 2 * k, { dtype: 'f16' }] as const;
    const out = size.slice(1).map((extent) => Math.floor((extent - 1) / stride) + 1) as [number, number];
    const [dy, dx] = [view(0, [2, ...out], outputs, half), view(1, size, inputs, half)];
    const weights = noisy(outputs * inputs * 9, 3, 'f16').map((v) => v / 16);
    const packed = packConv(weights, [outputs, inputs, 3, 3], { kind: 'conv', inputs, outputs, phases: 1 });
    const slots = [slab(dy, 1), slab(dx, 2), { ...half, data: packed }];
    const call = dgrad({
      ...{ dy, dx, weight: { slot: 2, ...half }, kernel: [3, 3], stride, pad: 1 },
      ...(stride === 2 ? large : small),
    });
    const d = field(dy, slots[0]!);
    await expectKernel(call, slots, dx, (b, y, x, i) => {
      let sum = 0;
      for (let o = 0; o < outputs; o++) {
        for (let tap = 0; tap < 9; tap++) {
          const [above, left] = [y + 1 - Math.floor(tap / 3), x + 1 - (tap % 3)];
          if (above % stride !== 0 || left % stride !== 0) continue;
          sum += d(b, above / stride, left / stride, o) * weights[(o * inputs + i) * 9 + tap]!;
        }
      }
      return sum;
    });
  });
});
