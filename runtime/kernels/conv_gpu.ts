// The kernels worth trying on a GPU, the likely best first. What is likely is reasoned from what conv2d_tiled.ts and
// conv2d_wgrad_tiled.ts say; `src tune` knows.

import type { ConvChoice, ConvClass, ConvDevice, ConvVariant } from './conv_family.js';
import type { TiledTile } from './conv2d.js';
import { type MatrixTile, matrixStaging } from './conv2d_matrix.js';
import type { Staged } from './conv2d_staging.js';
import { tiledStaging } from './conv2d_tiled.js';
import { wgradStaging } from './conv2d_wgrad_tiled.js';
import { groupsOf } from './text.js';

const DIRECT: ConvChoice = { variant: 'direct' };

const tiled = (
  width: number,
  height: number,
  groups: number,
  ...lanes: [across: number, down: number, groups: number]
): TiledTile => ({ width, height, groups, lanes });

/** The largest first: they read global memory least. The comments give pixels x channels, and sums in registers. */
const TILES: readonly TiledTile[] = [
  tiled(8, 1, 2, 2, 8, 8), // 16 x 8 x 64, 64
  tiled(8, 1, 2, 2, 16, 4), // 16 x 16 x 32, 64
  tiled(8, 1, 2, 2, 8, 4), // 16 x 8 x 32, 64
  tiled(8, 1, 4, 2, 8, 4), // 16 x 8 x 64, 128: where registers abound
  tiled(4, 1, 2, 4, 8, 4), // 16 x 8 x 32, 32: where they do not
  tiled(4, 2, 1, 4, 8, 4), // 16 x 16 x 16, 32
  tiled(4, 1, 2, 2, 8, 4), // 8 x 8 x 32, 32
  tiled(4, 1, 1, 1, 4, 16), // 4 x 4 x 64, 16: for the smallest images
];

/** Where outputs are few, lanes are pixels. */
const FEW_OUTPUT_TILES: readonly TiledTile[] = [
  tiled(8, 1, 1, 2, 32, 1), // 16 x 32, 32
  tiled(4, 2, 1, 4, 16, 1), // 16 x 32, 32
  tiled(4, 1, 1, 4, 16, 1), // 16 x 16, 16
];
const FEW_GROUPS = 3;

/** Fewer leave cores of large GPUs idle. */
const ENOUGH_WORKGROUPS = 256;
/** Of channels, that a tile computes in vain. */
const MOST_WASTE = 0.34;

export function gpuCandidates(of: ConvClass, device: ConvDevice): readonly ConvChoice[] {
  return of.op === 'wgrad' ? wgradCandidates(of) : convCandidates(of, device);
}

function convCandidates(of: ConvClass, device: ConvDevice): readonly ConvChoice[] {
  const transposed = of.op === 'dgrad';
  const [channels, written] = transposed ? [of.outputs, of.inputs] : [of.inputs, of.outputs];
  const conv: Staged = { ...of, transposed, channels };
  const groups = groupsOf(written);
  const few = groups <= FEW_GROUPS;
  const wasteful = (tile: TiledTile): boolean => wasteOf(groups, tile.groups * tile.lanes[2]) > MOST_WASTE;
  const tiles = (few ? FEW_OUTPUT_TILES : TILES).filter(
    (tile) => !wasteful(tile) && tiledStaging(conv, tile) !== undefined,
  );
  const matrices = of.dtype === 'f16' ? matrixTiles(conv, device).filter((tile) => !wasteful(tile)) : [];
  const workgroups = ({ width, height, groups: own, lanes }: TiledTile): number =>
    Math.ceil((of.pixels ?? Number.POSITIVE_INFINITY) / (width * height * lanes[0] * lanes[1])) *
    Math.ceil(groups / (own * lanes[2]));
  const busy = tiles.filter((tile) => workgroups(tile) >= ENOUGH_WORKGROUPS);
  const idle = tiles.filter((tile) => !busy.includes(tile)).toReversed();
  // With one group of inputs there is little to stage; with few outputs, little to use it for.
  return few || groupsOf(channels) === 1
    ? [DIRECT, ...choicesOf([...busy, ...idle])]
    : [...choicesOf(matrices, 'matrix'), ...choicesOf([...busy, ...idle]), DIRECT];
}

/** 16 pixels wide, by 32 x 64, 32 x 32 and 16 x 32 pixels x channels of a subgroup; where there are matrices. */
function matrixTiles(conv: Staged, { matrix, subgroupSize }: ConvDevice): MatrixTile[] {
  if (!matrix || subgroupSize === undefined || (matrix[0] !== 8 && matrix[0] !== 16)) return [];
  const [m] = matrix;
  const lanes = [16 / m, m / 4, 1] as const;
  const tiles: MatrixTile[] = [
    { width: m, height: 32 / m, groups: 16, lanes, matrix },
    { width: m, height: 32 / m, groups: 8, lanes, matrix },
    { width: m, height: 16 / m, groups: 8, lanes, matrix },
  ];
  return tiles.filter((tile) => matrixStaging(conv, tile, subgroupSize) !== undefined);
}

/** Pixels of dy at a time, output groups of an invocation; lanes over input groups and output groups. */
const WGRAD_TILES: readonly (readonly number[])[] = [
  [8, 4, 1, 8, 8],
  [8, 4, 2, 8, 8],
  [8, 2, 1, 8, 8],
  [8, 2, 2, 8, 8],
  [16, 2, 1, 8, 8],
  [4, 4, 1, 8, 8],
  [8, 4, 2, 8, 4],
  [8, 4, 1, 4, 8],
  [8, 4, 1, 4, 4],
];
const FEW_CHANNEL_WGRAD_TILES: readonly (readonly number[])[] = [
  [8, 4, 1, 1, 16],
  [8, 4, 1, 16, 1],
  [8, 4, 1, 2, 8],
  [8, 4, 1, 8, 2],
  [8, 4, 1, 2, 2],
];
const MOST_INVOCATIONS = 256;

function wgradCandidates({ kernel, stride, inputs, outputs }: ConvClass): readonly ConvChoice[] {
  const [inputGroups, outputGroups] = [groupsOf(inputs), groupsOf(outputs)];
  const few = Math.min(inputGroups, outputGroups) <= FEW_GROUPS;
  const tiles = (few ? FEW_CHANNEL_WGRAD_TILES : WGRAD_TILES).flatMap((numbers): TiledTile[] => {
    const [width, height, groups, across, down] = numbers as [number, number, number, number, number];
    const most = MOST_INVOCATIONS / (across * down);
    const rows = [4, 3, 2].find((count) => kernel[0] % count === 0 && count <= most) ?? 1;
    const tile = tiled(width, height, groups, across, down, rows);
    const wastes = [wasteOf(inputGroups, across), wasteOf(outputGroups, down * groups)];
    return wastes.every((waste) => waste <= MOST_WASTE) && wgradStaging(kernel, stride, tile) ? [tile] : [];
  });
  return inputGroups === 1 || outputGroups === 1
    ? [DIRECT, ...choicesOf(tiles)]
    : [...choicesOf(tiles), DIRECT];
}

function choicesOf(tiles: readonly TiledTile[], variant: ConvVariant = 'tiled'): ConvChoice[] {
  return tiles.map((tile) => ({ variant, tile }));
}

/** The share of `count` things in tiles of `size` that is padding. */
function wasteOf(count: number, size: number): number {
  return 1 - count / (Math.ceil(count / size) * size);
}
