// The convolution for software Vulkan, where the lanes of a subgroup are the lanes of a SIMD register: lane = output
// channel. A block of input channels of a pixel is loaded by as many lanes with one load each and spread by
// `subgroupBroadcast`, so the multiply-adds of a tile of pixels share every load. Elements are scalars, because the
// gathers that software drivers make of vec4 loads cost more than four scalar ones.

import { gcd, mulDim } from '../dims.js';
import type { Conv2dSpec, ConvTile } from './conv2d.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { roundUp } from './kernel.js';
import { assemble, elementIndex, load, range, reads, stepUses, writes } from './text.js';

const DEFAULT_TILE: ConvTile = { width: 8, height: 4, groups: 2 };
/** Sums updated together, so that they stay in SIMD registers while weights and inputs stream past. */
const STRIP = 4;
const MAX_UNROLLED = 3;

export function conv2dSubgroup(spec: Conv2dSpec & { subgroupSize: number }): KernelCall {
  const { x, y, weight, stride, pad, phases, phaseShift, epilogue, subgroupSize: lanes } = spec;
  const [kernelHeight, kernelWidth] = spec.kernel;
  const outputs = roundUp(y.channels, 4);
  const inputs = roundUp(x.channels, 4);
  const preferred = spec.tile ?? DEFAULT_TILE;
  const tile = { ...preferred, groups: Math.min(preferred.groups, Math.ceil(outputs / lanes)) };
  const block = gcd(lanes, inputs);
  const unrolled = kernelWidth <= MAX_UNROLLED ? kernelWidth : 1;
  const side = Math.sqrt(phases);
  const splits = Math.ceil(outputs / (lanes * tile.groups));
  const shift = (phase: string): string => (phaseShift ? ` + i32(${phase})` : '');
  const sums = pixels(tile).flatMap(({ r, c }) => range(tile.groups).map((g) => `sum_${r}_${c}_${g}`));

  const body = [
    ...putFunction(y, epilogue, 1),
    `@compute @workgroup_size(${lanes})`,
    'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {',
    `let column = id.x * ${tile.width}u; let row = id.y * ${tile.height}u;`,
    `let columns = u.y_w / ${side}u; let rows = u.y_h / ${side}u;`,
    `let group = id.z % ${splits}u * ${tile.groups * lanes}u + lane;`,
    `let phase = id.z / ${splits}u % ${phases}u; let image = id.z / ${splits * phases}u;`,
    `let phase_y = phase / ${side}u; let phase_x = phase % ${side}u;`,
    `let top = i32(row * ${stride}u) - ${pad}${shift('phase_y')};`,
    `let left = i32(column * ${stride}u) - ${pad}${shift('phase_x')};`,
    ...sums.map((sum) => `var ${sum} = 0f;`),
    ...range(tile.groups).map((g) => `let output_${g} = min(group + ${g * lanes}u, ${outputs - 1}u) * 4u;`),
    `for (var ky = 0; ky < ${kernelHeight}; ky++) {`,
    ...range(tile.height).flatMap((r) => [
      `let row_${r} = u32(top + ky + ${r * stride}); let in_row_${r} = row_${r} < u.x_h;`,
      `let start_${r} = (image * u.x_h + row_${r}) * u.x_w;`,
    ]),
    `for (var kx = 0; kx < ${kernelWidth}; kx += ${unrolled}) {`,
    ...usedColumns(tile.width, unrolled, stride).map(
      (k) => `let column_${k} = u32(left + kx + ${k}); let in_column_${k} = column_${k} < u.x_w;`,
    ),
    `let tap = phase * ${kernelHeight * kernelWidth}u + u32(ky * ${kernelWidth} + kx);`,
    `for (var i = 0u; i < ${inputs}u; i += ${block}u) {`,
    ...taps(spec, tile, unrolled, block),
    '} } }',
    // Stored in a loop: a dynamic index costs less than the text of one epilogue per pixel.
    `var sums = array<f32, ${sums.length}>(${sums.join(', ')});`,
    `for (var k = 0u; k < ${tile.width * tile.height}u; k++) {`,
    `let r = row + k / ${tile.width}u; let c = column + k % ${tile.width}u;`,
    'if (r >= rows || c >= columns) { continue; }',
    `let pixel = (image * u.y_h + r * ${side}u + phase_y) * u.y_w + c * ${side}u + phase_x;`,
    ...range(tile.groups).map(
      (g) =>
        `if (group + ${g * lanes}u < ${outputs}u) { put(pixel, group + ${g * lanes}u, phase, sums[k * ${tile.groups}u + ${g}u]); }`,
    ),
    '}',
    '}',
  ];
  return assemble({
    name: `conv${kernelHeight}x${kernelWidth}_${x.channels}_${y.channels}${phases > 1 ? `_p${phases}` : ''}_subgroup`,
    uniforms: { x_h: x.dims[1], x_w: x.dims[2], y_h: y.dims[1], y_w: y.dims[2] },
    uses: [reads(x, 1), writes(y, 1), reads(weight, 1), ...stepUses(epilogue, 1)],
    width: 1,
    subgroupSize: lanes,
    body,
    workgroups: [
      [{ dim: y.dims[2], per: side * tile.width }],
      [{ dim: y.dims[1], per: side * tile.height }],
      [{ dim: mulDim(y.dims[0], splits * phases), per: 1 }],
    ],
  });
}

/** `unrolled` taps of a kernel row, for input channels i to i + block - 1. */
function taps(
  { x, y, weight, stride }: Conv2dSpec,
  tile: ConvTile,
  unrolled: number,
  block: number,
): string[] {
  const inputGroups = roundUp(x.channels, 4) / 4;
  const outputs = roundUp(y.channels, 4);
  const inputs = range(tile.height).flatMap((r) =>
    usedColumns(tile.width, unrolled, stride).flatMap((k) => {
      const index = elementIndex(x, 1, `start_${r} + column_${k}`, `i + lane % ${block}u`);
      const value = load(x, 1, `select(0u, ${index}, in_${r}_${k})`);
      return [
        `let in_${r}_${k} = in_row_${r} && in_column_${k};`,
        `let x_${r}_${k} = select(0f, ${value}, in_${r}_${k});`,
      ];
    }),
  );
  const weights = range(unrolled).flatMap((k) =>
    range(block).flatMap((i) => [
      `let w_${k}_${i} = ((tap + ${k}u) * ${inputGroups}u + (i + ${i}u) / 4u) * ${outputs * 4}u + ${i % 4}u;`,
      ...range(tile.groups).map(
        (g) => `let w_${k}_${i}_${g} = ${load(weight, 1, `w_${k}_${i} + output_${g}`)};`,
      ),
    ]),
  );
  const strips = range(tile.height).flatMap((r) =>
    range(Math.ceil(tile.width / STRIP)).map((s) =>
      range(Math.min(STRIP, tile.width - s * STRIP)).map((c) => ({ r, c: s * STRIP + c })),
    ),
  );
  const products = strips.flatMap((strip) =>
    range(block).flatMap((i) =>
      range(unrolled).flatMap((k) =>
        strip.flatMap(({ r, c }) => [
          `{ let x = subgroupBroadcast(x_${r}_${c * stride + k}, ${i}u);`,
          ...range(tile.groups).map((g) => `sum_${r}_${c}_${g} += x * w_${k}_${i}_${g};`),
          '}',
        ]),
      ),
    ),
  );
  return [...inputs, ...weights, ...products];
}

function pixels(tile: ConvTile): { r: number; c: number }[] {
  return range(tile.height).flatMap((r) => range(tile.width).map((c) => ({ r, c })));
}

/** Columns, relative to the first, that a row of `outputs` outputs reads at `taps` taps. */
function usedColumns(outputs: number, taps: number, stride: number): number[] {
  return [...new Set(range(outputs).flatMap((o) => range(taps).map((k) => o * stride + k)))];
}
