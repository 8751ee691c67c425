// The convolution by subgroup matrices, which GPUs with matrix units multiply at several times the speed of their
// multiply-adds: f16 numbers, f32 sums. Experimental in WebGPU, so only for devices that were opened with them.
//
// A matrix of inputs is a run of pixels of the patch by a block of channels, wherever the tap is, because the patch keeps
// the channels of a pixel together. Each subgroup has its own rows and output channels of the tile; its matrices of
// inputs and of weights are each used for several sums. Sums leave through workgroup memory, because no invocation
// knows which elements of a matrix it holds. Results are checked on lavapipe; no GPU has timed them yet.

import { internal } from '../../diagnostics.js';
import type { TiledTile } from './conv2d.js';
import type { SubgroupForm } from './conv2d_frame.js';
import { ifTap, putSum, stagedConv } from './conv2d_staged.js';
import { type Staged, type Staging, stagingOf } from './conv2d_staging.js';
import type { KernelCall } from './kernel.js';
import { range } from './text.js';

/** Of an M x K by K x N product, f16 to f32. */
export type MatrixShape = readonly [m: number, n: number, k: number];

/** Of a subgroup, whose lanes are the workgroup's subgroups: M pixels of each row, whole matrices of output channels. */
export interface MatrixTile extends TiledTile {
  readonly matrix: MatrixShape;
}

/** Undefined where the tile does not fit workgroup memory, or the input channels are no whole matrices. */
export function matrixStaging(conv: Staged, tile: MatrixTile, subgroupSize: number): Staging | undefined {
  const [m, n, k] = tile.matrix;
  const subgroups = tile.lanes[0] * tile.lanes[1] * tile.lanes[2];
  if (tile.width !== m || (tile.groups * 4) % n > 0) return undefined;
  return stagingOf(conv, tile, {
    vectorBytes: 8,
    reservedBytes: subgroups * m * n * 4,
    leastDepth: k / 4,
    invocationsPerLane: subgroupSize,
    oddPitch: false,
  });
}

export function conv2dMatrix(form: SubgroupForm, tile: MatrixTile): KernelCall {
  const staging =
    matrixStaging({ ...form, channels: form.x.channels }, tile, form.subgroupSize) ??
    internal(`a tile of ${JSON.stringify(tile)} does not fit`);
  const { taps, depth, step, pitch, invocations } = staging;
  const { transposed } = form;
  const [m, n, k] = tile.matrix;
  const [across, down, outputs] = tile.lanes;
  const [vectors, perMatrix] = [(m * n) / 4, n / 4];
  const sums = range(tile.height).flatMap((r) =>
    range(tile.groups / perMatrix).map((o) => ({ sum: `sum_${r}_${o}`, r, o })),
  );
  /** Declares where a subgroup lies in the tile. */
  const place = (subgroup: string): string =>
    `let first_g = ${subgroup} % ${outputs}u * ${tile.groups}u; let first_r = ${subgroup} / ${outputs}u % ${down}u * ${tile.height}u; ` +
    `let first_c = ${subgroup} / ${outputs * down}u % ${across}u * ${m}u;`;
  // Offsets and strides count vectors.
  const inputs = (r: number, block: number): string => {
    const pixel = `((first_r + ${r}u) * ${step}u + ky) * ${pitch}u + first_c * ${step}u + tap`;
    return `subgroupMatrixLoad<subgroup_matrix_left<f16, ${k}, ${m}>, row_major>(&inputs, (${pixel}) * ${depth}u + ${(block * k) / 4}u, ${step * depth}u)`;
  };
  const weights = (o: number, block: number): string => {
    const at = `((ky - first) * ${taps[1]}u + tap)`;
    const type = `subgroup_matrix_right<f16, ${n}, ${k}>`;
    const offset = transposed
      ? `(${at} * ${4 * depth}u + ${block * k}u) * ${staging.groups}u + first_g + ${o * perMatrix}u`
      : `(${at} * ${4 * staging.groups}u + 4u * first_g + ${o * n}u) * ${depth}u + ${(block * k) / 4}u`;
    const [order, stride] = transposed ? ['row_major', staging.groups] : ['col_major', depth];
    return `subgroupMatrixLoad<${type}, ${order}>(&weights, ${offset}, ${stride}u)`;
  };
  return stagedConv(
    { form, staging },
    {
      variant: 'matrix',
      vector: 'vec4<f16>',
      subgroupSize: form.subgroupSize,
      matrices: true,
      declarations: [`var<workgroup> sums: array<Value, ${(invocations / form.subgroupSize) * vectors}>;`],
      builtins: ['@builtin(subgroup_id) subgroup: u32'],
      begin: [
        place('subgroup'),
        ...sums.map(({ sum }) => `var ${sum} = subgroup_matrix_result<f32, ${n}, ${m}>();`),
      ],
      multiply: [
        'for (var ky = first; ky < last; ky++) {',
        'for (var tap = 0u; tap < u.taps_w; tap++) {',
        ifTap(form, 'tap'),
        ...range((4 * depth) / k).flatMap((block) => [
          '{',
          ...range(tile.height).map((r) => `let x_${r} = ${inputs(r, block)};`),
          ...range(tile.groups / perMatrix).map((o) => `let w_${o} = ${weights(o, block)};`),
          ...sums.map(
            ({ sum, r, o }) => `${sum} = subgroupMatrixMultiplyAccumulate(x_${r}, w_${o}, ${sum});`,
          ),
          '}',
        ]),
        '} } }',
      ],
      end: sums.flatMap(({ sum, r, o }) => [
        `subgroupMatrixStore<row_major>(&sums, subgroup * ${vectors}u, ${sum}, ${perMatrix}u);`,
        'workgroupBarrier();',
        `for (var e = lane; e < ${(invocations / form.subgroupSize) * vectors}u; e += ${invocations}u) {`,
        place(`(e / ${vectors}u)`),
        ...putSum(
          { form, staging },
          {
            row: `first_r + ${r}u`,
            column: `first_c + e / ${perMatrix}u % ${m}u`,
            group: `first_g + ${o * perMatrix}u + e % ${perMatrix}u`,
            value: 'sums[e]',
          },
        ),
        '}',
        'workgroupBarrier();',
      ]),
      // [row and column of taps][output channel][group of inputs]; of a gradient [input channel][group of outputs]
      place({ row, column }, vector, group) {
        const [count, size] = transposed ? [4 * depth, staging.groups] : [4 * staging.groups, depth];
        return `((${row} * ${taps[1]}u + ${column}) * ${count}u + ${vector}) * ${size}u + ${group}`;
      },
    },
  );
}
