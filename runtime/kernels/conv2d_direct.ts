// The convolution for GPUs: each invocation keeps a tile of pixels by output channels in registers and walks over taps
// and groups of 4 input channels. Up to 4 taps of a kernel row are unrolled by text, so that an input element is loaded
// once for them and a weight once for the tile; the caches do what workgroup memory would.

import type { Conv2dSpec, ConvTile } from './conv2d.js';
import { convName, convUniforms, inputColumns, inputRows, placeTile, tilePixels } from './conv2d_frame.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, stepUses, writes } from './text.js';

/** 64 sums in registers, 5 multiply-adds for each float loaded by a 3x3 kernel. */
const DEFAULT_TILE: ConvTile = { width: 4, height: 2, groups: 2 };
const WORKGROUP = 8;

export function conv2dDirect(spec: Conv2dSpec): KernelCall {
  const { x, y, weight, kernel, stride, phases, epilogue } = spec;
  const outputGroups = groupsOf(y.channels);
  const preferred = spec.tile ?? DEFAULT_TILE;
  const tile = outputGroups % preferred.groups === 0 ? preferred : { ...preferred, groups: 1 };
  const splits = outputGroups / tile.groups;
  const unrolled = [4, 3, 2, 1].find((taps) => kernel[1] % taps === 0) as number;
  const columns = [...new Set(range(tile.width).flatMap((c) => range(unrolled).map((k) => c * stride + k)))];
  const side = Math.sqrt(phases);
  const body = [
    ...putFunction(y, epilogue, 4),
    'fn mac(sum: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {',
    'return fma(x.wwww, w[3], fma(x.zzzz, w[2], fma(x.yyyy, w[1], fma(x.xxxx, w[0], sum))));',
    '}',
    `@compute @workgroup_size(${WORKGROUP}, ${WORKGROUP})`,
    'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
    ...placeTile(spec, tile, splits),
    'if (column >= columns || row >= rows) { return; }',
    `let group = split * ${tile.groups}u;`,
    ...tilePixels(tile).flatMap(({ r, c }) =>
      range(tile.groups).map((g) => `var sum_${r}_${c}_${g} = Value();`),
    ),
    'for (var ky = 0; ky < i32(u.kernel_h); ky++) {',
    ...inputRows(tile, stride),
    `for (var kx = 0; kx < i32(u.kernel_w); kx += ${unrolled}) {`,
    ...inputColumns(columns),
    `let tap = phase * ${kernel[0] * kernel[1]}u + u32(ky * ${kernel[1]} + kx);`,
    'for (var i = 0u; i < u.blocks; i++) {',
    ...loadInputs(spec, tile, columns),
    ...range(unrolled).flatMap((k) => multiplyTap(spec, tile, k)),
    '} } }',
    ...tilePixels(tile).flatMap(({ r, c }) => [
      `if (row + ${r}u < rows && column + ${c}u < columns) {`,
      `let y = (row + ${r}u) * ${side}u + phase_y; let x = (column + ${c}u) * ${side}u + phase_x;`,
      'let pixel = (image * u.y_h + y) * u.y_w + x;',
      ...range(tile.groups).map((g) => `put(pixel, group + ${g}u, phase, sum_${r}_${c}_${g});`),
      '}',
    ]),
    '}',
  ];
  return assemble({
    name: convName(spec, 'direct'),
    uniforms: convUniforms(spec, groupsOf(x.channels)),
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

/** Input channels 4i to 4i+3 of the tile's rows at the given columns, 0 outside the image. */
function loadInputs({ x }: Conv2dSpec, tile: ConvTile, columns: readonly number[]): string[] {
  return range(tile.height).flatMap((r) =>
    columns.flatMap((k) => {
      // An index of 0 outside the image: no load is ever out of bounds, with or without robust access.
      const index = elementIndex(x, 4, `start_${r} + column_${k}`, 'i');
      const value = load(x, 4, `select(0u, ${index}, in_${r}_${k})`);
      return [
        `let in_${r}_${k} = in_row_${r} && in_column_${k};`,
        `let x_${r}_${k} = select(Value(), ${value}, in_${r}_${k});`,
      ];
    }),
  );
}

/** The products of tap `tap + k` with weights of the tile's channels. */
function multiplyTap({ x, y, weight, stride }: Conv2dSpec, tile: ConvTile, k: number): string[] {
  const outputs = groupsOf(y.channels) * 4;
  return [
    `let w_${k} = ((tap + ${k}u) * ${groupsOf(x.channels)}u + i) * ${outputs}u + group * 4u;`,
    ...range(tile.groups).flatMap((g) => [
      `let m_${k}_${g} = transpose(mat4x4<f32>(${range(4).map((o) => load(weight, 4, `w_${k} + ${4 * g + o}u`))}));`,
      ...tilePixels(tile).map(({ r, c }) => {
        const sum = `sum_${r}_${c}_${g}`;
        return `${sum} = mac(${sum}, x_${r}_${c * stride + k}, m_${k}_${g});`;
      }),
    ]),
  ];
}
