// The convolution for GPUs with workgroup memory: an implicit matrix product in registers. Every invocation multiplies its
// own pixels by its own output groups, from what the workgroup has staged.
//
// Why so, from what is known of GPUs; no part of it has been timed on one yet:
// - An invocation of 8 x 1 pixels by 2 groups loads 10 vectors of inputs and 24 of weights from workgroup memory for
//   the 768 multiply-adds of three taps, 45 for a pair of loads, where units that do 32 lanes' multiply-adds in a cycle
//   want 8 to 16. 64 sums, 40 numbers of inputs and 16 of weights stay under 128 registers, at which NVIDIA and AMD
//   hold some 16 warps; Apple and Intel prefer half as many sums, so there are such tiles.
// - Lanes run over output groups first: weights are then consecutive vec4, inputs are broadcast, stores are coalesced.
//   Next over rows, because the pitch of the patch is odd: lanes of different rows meet different banks. An
//   invocation's rows lie a workgroup's lanes apart for the same reason; its columns are neighbours and share inputs.
// - The inner loops have no division.
// - The staged numbers are f32 whatever is stored: they are converted once instead of at every use.

import { internal } from '../../diagnostics.js';
import type { TiledTile } from './conv2d.js';
import { type ConvForm, MULTIPLY_ADD } from './conv2d_frame.js';
import { ifTap, putSum, type StagedForm, stagedConv } from './conv2d_staged.js';
import { type Memory, type Staged, type Staging, stagingOf } from './conv2d_staging.js';
import type { KernelCall } from './kernel.js';
import { range } from './text.js';

const MEMORY: Memory = {
  vectorBytes: 16,
  reservedBytes: 0,
  leastDepth: 1,
  invocationsPerLane: 1,
  oddPitch: true,
};

/** Undefined where the tile does not fit workgroup memory. */
export function tiledStaging(conv: Staged, tile: TiledTile): Staging | undefined {
  return stagingOf(conv, tile, MEMORY);
}

export function conv2dTiled(form: ConvForm, tile: TiledTile): KernelCall {
  const staging =
    tiledStaging({ ...form, channels: form.x.channels }, tile) ??
    internal(`a tile of ${JSON.stringify(tile)} does not fit workgroup memory`);
  const { taps, depth, step, pitch, weightPitch } = staging;
  const sums = sumsOf(tile);
  return stagedConv(
    { form, staging },
    {
      variant: 'tiled',
      vector: 'vec4<f32>',
      declarations: MULTIPLY_ADD,
      builtins: [],
      begin: [
        ...lanes(tile),
        ...sums.map(({ sum }) => `var ${sum} = Value();`),
        `let own = (lane_y * ${step * pitch}u + lane_x * ${step}u) * ${depth}u;`,
      ],
      multiply: [
        'var w_at = lane_g;',
        // A slice is a row of taps of one group of input channels.
        `for (var slice = first * ${depth}u; slice < last * ${depth}u; slice++) {`,
        `let x_at = own + slice / ${depth}u * ${pitch * depth}u + slice % ${depth}u;`,
        `for (var tap = 0u; tap < u.taps_w; tap += ${staging.unrolled}u) {`,
        ...multiply({ form, staging }, tile, sums),
        '} }',
      ],
      end: sums.flatMap(({ sum, r, c, g }) =>
        putSum(
          { form, staging },
          {
            row: `lane_y + ${r * tile.lanes[1]}u`,
            column: `lane_x + ${c}u`,
            group: `lane_g + ${g * tile.lanes[2]}u`,
            value: sum,
          },
        ),
      ),
      // [row of taps][group of inputs][column of taps][vector of the group of 4 outputs or inputs][output group]
      place({ row, column }, vector, group) {
        const [input, output] = form.transposed ? [`${vector} / 4u`, group] : [group, `${vector} / 4u`];
        const slice = `(${row} * ${depth}u + ${input}) * ${taps[1]}u + ${column}`;
        return `((${slice}) * 4u + ${vector} % 4u) * ${weightPitch}u + ${output}`;
      },
    },
  );
}

/** Declares the invocation's first group of output channels, row and column in the tile. */
function lanes({ lanes: [across, down, groups], width }: TiledTile): string[] {
  return [
    `let lane_g = lane % ${groups}u; let lane_y = lane / ${groups}u % ${down}u;`,
    `let lane_x = lane / ${groups * down}u % ${across}u * ${width}u;`,
  ];
}

interface Sum {
  readonly sum: string;
  /** The pixel of the invocation and the group, counted from its own. */
  readonly r: number;
  readonly c: number;
  readonly g: number;
}

function sumsOf({ width, height, groups }: TiledTile): Sum[] {
  return range(height).flatMap((r) =>
    range(width).flatMap((c) => range(groups).map((g) => ({ sum: `sum_${r}_${c}_${g}`, r, c, g }))),
  );
}

/** The products of the unrolled taps from `tap`, of one group of input channels. */
function multiply({ form, staging }: StagedForm, tile: TiledTile, sums: readonly Sum[]): string[] {
  const { width, height, lanes } = tile;
  const { step, unrolled, depth, pitch, weightPitch } = staging;
  const columns = [...new Set(range(width).flatMap((c) => range(unrolled).map((t) => c * step + t)))];
  const rowStep = lanes[1] * step * pitch;
  const matrix = (g: number): string => {
    const vectors = range(4).map((k) => `weights[w_at + ${k * weightPitch + g * lanes[2]}u]`);
    return form.transposed ? `mat4x4<f32>(${vectors})` : `transpose(mat4x4<f32>(${vectors}))`;
  };
  return [
    ...range(height).flatMap((r) =>
      columns.map((c) => `let x_${r}_${c} = inputs[x_at + (tap + ${r * rowStep + c}u) * ${depth}u];`),
    ),
    ...range(unrolled).flatMap((t) => [
      ifTap(form, `tap + ${t}u`),
      ...range(tile.groups).map((g) => `let m_${g} = ${matrix(g)};`),
      ...sums.map(({ sum, r, c, g }) => `${sum} = mac(${sum}, x_${r}_${c * step + t}, m_${g});`),
      '}',
      `w_at += ${4 * weightPitch}u;`,
    ]),
  ];
}
