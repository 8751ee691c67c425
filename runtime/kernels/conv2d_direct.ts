// The convolution for GPUs: each invocation keeps a tile of 4x2 pixels by 4 or 8 output channels in registers and walks
// over taps and groups of 4 input channels, unrolled by text. An input element is loaded once for all taps of the
// unrolled rows, a weight once for the whole tile; the caches do what workgroup memory would.

import type { Conv2dSpec } from './conv2d.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, reads, stepUses, writes } from './text.js';

const TILE = { width: 4, height: 2 };
const WORKGROUP = 8;
/** Kernels with more taps are unrolled one row at a time, to bound text and compile time. */
const MAX_UNROLLED_TAPS = 16;

export function conv2dDirect(spec: Conv2dSpec): KernelCall {
  const { x, y, weight, stride, pad, phases, phaseShift, epilogue } = spec;
  const [kernelHeight, kernelWidth] = spec.kernel;
  const side = Math.sqrt(phases);
  const outputGroups = groupsOf(y.channels);
  const perInvocation = outputGroups % 2 === 0 ? 2 : 1;
  const splits = outputGroups / perInvocation;
  const unrolledRows = kernelHeight * kernelWidth <= MAX_UNROLLED_TAPS ? kernelHeight : 1;
  const shift = (phase: string): string => (phaseShift ? ` + i32(${phase})` : '');

  const body = [
    ...putFunction(y, epilogue, 4),
    'fn mac(sum: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {',
    'return fma(x.wwww, w[3], fma(x.zzzz, w[2], fma(x.yyyy, w[1], fma(x.xxxx, w[0], sum))));',
    '}',
    `@compute @workgroup_size(${WORKGROUP}, ${WORKGROUP})`,
    'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
    `let column = id.x * ${TILE.width}u; let row = id.y * ${TILE.height}u;`,
    `let columns = u.y_w / ${side}u; let rows = u.y_h / ${side}u;`,
    'if (column >= columns || row >= rows) { return; }',
    `let group = id.z % ${splits}u * ${perInvocation}u;`,
    `let phase = id.z / ${splits}u % ${phases}u; let image = id.z / ${splits * phases}u;`,
    `let phase_y = phase / ${side}u; let phase_x = phase % ${side}u;`,
    `let top = i32(row * ${stride}u) - ${pad}${shift('phase_y')};`,
    `let left = i32(column * ${stride}u) - ${pad}${shift('phase_x')};`,
    ...accumulators(perInvocation),
    ...inputColumns(kernelWidth, stride),
    `for (var ky = 0u; ky < ${kernelHeight}u; ky += ${unrolledRows}u) {`,
    ...inputRows(unrolledRows, stride),
    `for (var i = 0u; i < ${groupsOf(x.channels)}u; i++) {`,
    ...taps(spec, unrolledRows, perInvocation),
    '}',
    '}',
    ...stores(perInvocation, side),
    '}',
  ];
  return assemble({
    name: `conv${kernelHeight}x${kernelWidth}_${x.channels}_${y.channels}${phases > 1 ? `_p${phases}` : ''}_direct`,
    uniforms: { x_h: x.dims[1], x_w: x.dims[2], y_h: y.dims[1], y_w: y.dims[2] },
    uses: [reads(x), writes(y), reads(weight), ...stepUses(epilogue)],
    width: 4,
    body,
    workgroups: [
      [{ dim: y.dims[2], per: side * TILE.width * WORKGROUP }],
      [{ dim: y.dims[1], per: side * TILE.height * WORKGROUP }],
      [
        { dim: y.dims[0], per: 1 },
        { dim: splits * phases, per: 1 },
      ],
    ],
  });
}

function accumulators(perInvocation: number): string[] {
  return tilePixels().flatMap(({ r, c }) =>
    range(perInvocation).map((g) => `var sum_${r}_${c}_${g} = vec4<f32>();`),
  );
}

/** Of each input column of the tile: where it is and whether it lies in the image. */
function inputColumns(kernelWidth: number, stride: number): string[] {
  return usedPositions(TILE.width, kernelWidth, stride).map(
    (k) => `let column_${k} = u32(left + ${k}); let in_column_${k} = column_${k} < u.x_w;`,
  );
}

function inputRows(unrolledRows: number, stride: number): string[] {
  return usedPositions(TILE.height, unrolledRows, stride).flatMap((k) => [
    `let row_${k} = u32(top + i32(ky) + ${k}); let in_row_${k} = row_${k} < u.x_h;`,
    `let start_${k} = (image * u.x_h + row_${k}) * u.x_w;`,
  ]);
}

/** All taps of the unrolled kernel rows, for input channels 4i to 4i+3. */
function taps(
  { x, y, weight, kernel, stride }: Conv2dSpec,
  unrolledRows: number,
  perInvocation: number,
): string[] {
  const [kernelHeight, kernelWidth] = kernel;
  const inputGroups = groupsOf(x.channels);
  const outputs = groupsOf(y.channels) * 4;
  const lines: string[] = [];
  const loaded = new Set<string>();
  const input = (row: number, column: number): string => {
    const name = `x_${row}_${column}`;
    if (!loaded.has(name)) {
      loaded.add(name);
      // An index of 0 outside the image: no load is ever out of bounds, with or without robust access.
      const index = elementIndex(x, 4, `start_${row} + column_${column}`, 'i');
      lines.push(
        `let in_${name} = in_row_${row} && in_column_${column};`,
        `let ${name} = select(vec4<f32>(), ${load(x, 4, `select(0u, ${index}, in_${name})`)}, in_${name});`,
      );
    }
    return name;
  };
  for (let ky = 0; ky < unrolledRows; ky++) {
    for (let kx = 0; kx < kernelWidth; kx++) {
      const tap = `phase * ${kernelHeight * kernelWidth}u + (ky + ${ky}u) * ${kernelWidth}u + ${kx}u`;
      lines.push(`let w_${ky}_${kx} = ((${tap}) * ${inputGroups}u + i) * ${outputs}u + group * 4u;`);
      for (let g = 0; g < perInvocation; g++) {
        const columns = range(4).map((o) => load(weight, 4, `w_${ky}_${kx} + ${4 * g + o}u`));
        const matrix = `m_${ky}_${kx}_${g}`;
        lines.push(`let ${matrix} = transpose(mat4x4<f32>(${columns.join(', ')}));`);
        for (const { r, c } of tilePixels()) {
          const sum = `sum_${r}_${c}_${g}`;
          const value = input(r * stride + ky, c * stride + kx);
          lines.push(`${sum} = mac(${sum}, ${value}, ${matrix});`);
        }
      }
    }
  }
  return lines;
}

function stores(perInvocation: number, side: number): string[] {
  return tilePixels().flatMap(({ r, c }) => [
    `if (row + ${r}u < rows && column + ${c}u < columns) {`,
    `let y = (row + ${r}u) * ${side}u + phase_y; let x = (column + ${c}u) * ${side}u + phase_x;`,
    'let pixel = (image * u.y_h + y) * u.y_w + x;',
    ...range(perInvocation).map((g) => `put(pixel, group + ${g}u, phase, sum_${r}_${c}_${g});`),
    '}',
  ]);
}

function tilePixels(): { r: number; c: number }[] {
  return range(TILE.height).flatMap((r) => range(TILE.width).map((c) => ({ r, c })));
}

/** Input positions, relative to the first, that `outputs` outputs of `kernel` taps at `stride` read. */
function usedPositions(outputs: number, kernel: number, stride: number): number[] {
  const positions = range(outputs).flatMap((o) => range(kernel).map((k) => o * stride + k));
  return [...new Set(positions)].sort((a, b) => a - b);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
