// The convolution for GPUs: each invocation keeps a tile of pixels by output channels in registers and walks over taps
// and groups of 4 input channels. The taps of a kernel row are unrolled by text, so that an input element is loaded
// once for the row and a weight once for the tile; the caches do what workgroup memory would.

import type { Conv2dSpec, ConvTile } from './conv2d.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, stepUses, writes } from './text.js';

/** 64 sums in registers, 21 multiply-adds for each float loaded. */
const DEFAULT_TILE: ConvTile = { width: 4, height: 2, groups: 2 };
const WORKGROUP = 8;
/** The taps of wider rows are not unrolled, to bound text and compile time. */
const MAX_UNROLLED = 4;

export function conv2dDirect(spec: Conv2dSpec): KernelCall {
  const { x, y, weight, stride, pad, phases, phaseShift, epilogue } = spec;
  const [kernelHeight, kernelWidth] = spec.kernel;
  const outputGroups = groupsOf(y.channels);
  const preferred = spec.tile ?? DEFAULT_TILE;
  const tile = outputGroups % preferred.groups === 0 ? preferred : { ...preferred, groups: 1 };
  const unrolled = kernelWidth <= MAX_UNROLLED ? kernelWidth : 1;
  const side = Math.sqrt(phases);
  const splits = outputGroups / tile.groups;
  const shift = (phase: string): string => (phaseShift ? ` + i32(${phase})` : '');

  const body = [
    ...putFunction(y, epilogue, 4),
    'fn mac(sum: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {',
    'return fma(x.wwww, w[3], fma(x.zzzz, w[2], fma(x.yyyy, w[1], fma(x.xxxx, w[0], sum))));',
    '}',
    `@compute @workgroup_size(${WORKGROUP}, ${WORKGROUP})`,
    'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
    `let column = id.x * ${tile.width}u; let row = id.y * ${tile.height}u;`,
    `let columns = u.y_w / ${side}u; let rows = u.y_h / ${side}u;`,
    'if (column >= columns || row >= rows) { return; }',
    `let group = id.z % ${splits}u * ${tile.groups}u;`,
    `let phase = id.z / ${splits}u % ${phases}u; let image = id.z / ${splits * phases}u;`,
    `let phase_y = phase / ${side}u; let phase_x = phase % ${side}u;`,
    `let top = i32(row * ${stride}u) - ${pad}${shift('phase_y')};`,
    `let left = i32(column * ${stride}u) - ${pad}${shift('phase_x')};`,
    ...pixels(tile).flatMap(({ r, c }) =>
      range(tile.groups).map((g) => `var sum_${r}_${c}_${g} = vec4<f32>();`),
    ),
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
    `for (var i = 0u; i < ${groupsOf(x.channels)}u; i++) {`,
    ...taps(spec, tile, unrolled),
    '} } }',
    ...stores(tile, side),
    '}',
  ];
  return assemble({
    name: `conv${kernelHeight}x${kernelWidth}_${x.channels}_${y.channels}${phases > 1 ? `_p${phases}` : ''}_direct`,
    uniforms: { x_h: x.dims[1], x_w: x.dims[2], y_h: y.dims[1], y_w: y.dims[2] },
    uses: [reads(x), writes(y), reads(weight), ...stepUses(epilogue)],
    width: 4,
    body,
    workgroups: [
      [{ dim: y.dims[2], per: side * tile.width * WORKGROUP }],
      [{ dim: y.dims[1], per: side * tile.height * WORKGROUP }],
      [
        { dim: y.dims[0], per: 1 },
        { dim: splits * phases, per: 1 },
      ],
    ],
  });
}

/** `unrolled` taps of a kernel row, for input channels 4i to 4i+3. */
function taps({ x, y, weight, stride }: Conv2dSpec, tile: ConvTile, unrolled: number): string[] {
  const inputs = range(tile.height).flatMap((r) =>
    usedColumns(tile.width, unrolled, stride).flatMap((k) => {
      // An index of 0 outside the image: no load is ever out of bounds, with or without robust access.
      const index = elementIndex(x, 4, `start_${r} + column_${k}`, 'i');
      const value = load(x, 4, `select(0u, ${index}, in_${r}_${k})`);
      return [
        `let in_${r}_${k} = in_row_${r} && in_column_${k};`,
        `let x_${r}_${k} = select(vec4<f32>(), ${value}, in_${r}_${k});`,
      ];
    }),
  );
  const products = range(unrolled).flatMap((k) => [
    `let w_${k} = ((tap + ${k}u) * ${groupsOf(x.channels)}u + i) * ${groupsOf(y.channels) * 4}u + group * 4u;`,
    ...range(tile.groups).flatMap((g) => [
      `let m_${k}_${g} = transpose(mat4x4<f32>(${range(4).map((o) => load(weight, 4, `w_${k} + ${4 * g + o}u`))}));`,
      ...pixels(tile).map(({ r, c }) => {
        const sum = `sum_${r}_${c}_${g}`;
        return `${sum} = mac(${sum}, x_${r}_${c * stride + k}, m_${k}_${g});`;
      }),
    ]),
  ]);
  return [...inputs, ...products];
}

function stores(tile: ConvTile, side: number): string[] {
  return pixels(tile).flatMap(({ r, c }) => [
    `if (row + ${r}u < rows && column + ${c}u < columns) {`,
    `let y = (row + ${r}u) * ${side}u + phase_y; let x = (column + ${c}u) * ${side}u + phase_x;`,
    'let pixel = (image * u.y_h + y) * u.y_w + x;',
    ...range(tile.groups).map((g) => `put(pixel, group + ${g}u, phase, sum_${r}_${c}_${g});`),
    '}',
  ]);
}

function pixels(tile: ConvTile): { r: number; c: number }[] {
  return range(tile.height).flatMap((r) => range(tile.width).map((c) => ({ r, c })));
}

/** Columns, relative to the first, that a row of `outputs` outputs reads at `taps` taps. */
function usedColumns(outputs: number, taps: number, stride: number): number[] {
  return [...new Set(range(outputs).flatMap((o) => range(taps).map((k) => o * stride + k)))];
}
