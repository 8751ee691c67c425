// The convolution for GPUs: each invocation keeps a tile of pixels by output channels in registers and walks over taps
// and groups of 4 input channels. Up to 4 taps of a kernel row are unrolled by text, so that an input element is loaded
// once for them and a weight once for the tile; the caches do what workgroup memory would.

import type { ConvTile } from './conv2d.js';
import {
  type ConvForm,
  convName,
  convUniforms,
  inputAt,
  inputStep,
  MULTIPLY_ADD,
  origin,
  placePhase,
  tapLoops,
  tilePixels,
  unrolledTaps,
} from './conv2d_frame.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, stepUses, writes } from './text.js';

/** 64 sums in registers, 5 multiply-adds for each float loaded by a 3x3 kernel. */
const DEFAULT_TILE: ConvTile = { width: 4, height: 2, groups: 2 };
const WORKGROUP = 8;

export function conv2dDirect(form: ConvForm): KernelCall {
  const { x, y, weight, kernel, phases, epilogue, transposed } = form;
  const outputGroups = groupsOf(y.channels);
  const preferred = form.tile ?? DEFAULT_TILE;
  const tile = outputGroups % preferred.groups === 0 ? preferred : { ...preferred, groups: 1 };
  const splits = outputGroups / tile.groups;
  const unrolled = transposed ? 1 : unrolledTaps(kernel[1]);
  const step = inputStep(form);
  const columns = [...new Set(range(tile.width).flatMap((c) => range(unrolled).map((k) => c * step + k)))];
  const side = Math.sqrt(phases);
  const loops = tapLoops(form, unrolled);
  const body = [
    ...putFunction(y, epilogue, 4),
    ...MULTIPLY_ADD,
    `@compute @workgroup_size(${WORKGROUP}, ${WORKGROUP})`,
    'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
    `let split = id.z % ${splits}u; let phase = id.z / ${splits}u % ${phases}u; let image = id.z / ${splits * phases}u;`,
    ...placePhase(form),
    `let column = id.x * ${tile.width}u; let row = id.y * ${tile.height}u;`,
    // Of this phase, which has one fewer where the stride does not divide the size.
    `let columns = (u.y_w + ${side - 1}u - phase_x) / ${side}u; let rows = (u.y_h + ${side - 1}u - phase_y) / ${side}u;`,
    'if (column >= columns || row >= rows) { return; }',
    `let top = ${origin(form, 'row', 'phase_y')}; let left = ${origin(form, 'column', 'phase_x')};`,
    `let group = split * ${tile.groups}u;`,
    ...tilePixels(tile).flatMap(({ r, c }) =>
      range(tile.groups).map((g) => `var sum_${r}_${c}_${g} = Value();`),
    ),
    loops.rows,
    ...range(tile.height).flatMap((r) => [
      `let row_${r} = u32(${inputAt(form, 'top', 'ky')} + ${r * step}); let in_row_${r} = row_${r} < u.x_h;`,
      `let start_${r} = (image * u.x_h + row_${r}) * u.x_w;`,
    ]),
    loops.columns,
    ...columns.map(
      (k) =>
        `let column_${k} = u32(${inputAt(form, 'left', 'kx')} + ${k}); let in_column_${k} = column_${k} < u.x_w;`,
    ),
    'for (var i = 0u; i < u.blocks; i++) {',
    ...loadInputs(form, tile, columns),
    ...range(unrolled).flatMap((k) => multiplyTap(form, tile, k)),
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
    name: convName(form, 'direct'),
    uniforms: convUniforms(form, groupsOf(x.channels)),
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
function loadInputs({ x }: ConvForm, tile: ConvTile, columns: readonly number[]): string[] {
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
function multiplyTap(form: ConvForm, tile: ConvTile, k: number): string[] {
  const step = inputStep(form);
  return range(tile.groups).flatMap((g) => [
    `let m_${k}_${g} = ${weightMatrix(form, k, g)};`,
    ...tilePixels(tile).map(({ r, c }) => {
      const sum = `sum_${r}_${c}_${g}`;
      return `${sum} = mac(${sum}, x_${r}_${c * step + k}, m_${k}_${g});`;
    }),
  ]);
}

/** From 4 input channels (columns) to the 4 output channels of group `group + g`. */
function weightMatrix({ x, y, weight, transposed }: ConvForm, k: number, g: number): string {
  const [inputGroups, outputGroups] = [groupsOf(x.channels), groupsOf(y.channels)];
  const first = transposed
    ? `((tap + ${k}u) * ${outputGroups}u + group + ${g}u) * ${4 * inputGroups}u + i * 4u`
    : `((tap + ${k}u) * ${inputGroups}u + i) * ${4 * outputGroups}u + (group + ${g}u) * 4u`;
  const vectors = range(4).map((at) => load(weight, 4, `${first} + ${at}u`));
  return transposed ? `mat4x4<f32>(${vectors})` : `transpose(mat4x4<f32>(${vectors}))`;
}
