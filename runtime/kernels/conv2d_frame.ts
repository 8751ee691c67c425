// What the variants of the convolution share: the tile of an invocation, where it lies, name and uniforms.

import type { Dim } from '../dims.js';
import type { Conv2dSpec, ConvTile } from './conv2d.js';
import { range } from './text.js';

export function convName({ kernel, x, y, phases }: Conv2dSpec, variant: string): string {
  return `conv${kernel.join('x')}_${x.channels}_${y.channels}${phases > 1 ? `_p${phases}` : ''}_${variant}`;
}

/**
 * Sizes, and the trip counts of the loops over taps and blocks of input channels: as constants they would tempt drivers
 * to unroll a kernel of a thousand multiply-adds ninefold, and then to compile it for many seconds.
 */
export function convUniforms({ x, y, kernel }: Conv2dSpec, blocks: number): Record<string, Dim> {
  const trips = { kernel_h: kernel[0], kernel_w: kernel[1], blocks };
  return { x_h: x.dims[1], x_w: x.dims[2], y_h: y.dims[1], y_w: y.dims[2], ...trips };
}

/**
 * Declares what tile `id` makes: its first output `row` and `column` of `rows` and `columns` (of one phase), the
 * `split` of the channels, `phase`, `image`, and the first input position (`top`, `left`), before the image's edge
 * where there is padding.
 */
export function placeTile(
  { stride, pad, phases, phaseShift }: Conv2dSpec,
  tile: ConvTile,
  splits: number,
): string[] {
  const side = Math.sqrt(phases);
  const shift = (phase: string): string => (phaseShift ? ` + i32(${phase})` : '');
  return [
    `let column = id.x * ${tile.width}u; let row = id.y * ${tile.height}u;`,
    `let columns = u.y_w / ${side}u; let rows = u.y_h / ${side}u;`,
    `let split = id.z % ${splits}u; let phase = id.z / ${splits}u % ${phases}u; let image = id.z / ${splits * phases}u;`,
    `let phase_y = phase / ${side}u; let phase_x = phase % ${side}u;`,
    `let top = i32(row * ${stride}u) - ${pad}${shift('phase_y')};`,
    `let left = i32(column * ${stride}u) - ${pad}${shift('phase_x')};`,
  ];
}

/** Per tile row `r`: the input row for tap `ky`, as `in_row_<r>` and the pixel index `start_<r>` of its first column. */
export function inputRows(tile: ConvTile, stride: number): string[] {
  return range(tile.height).flatMap((r) => [
    `let row_${r} = u32(top + ky + ${r * stride}); let in_row_${r} = row_${r} < u.x_h;`,
    `let start_${r} = (image * u.x_h + row_${r}) * u.x_w;`,
  ]);
}

/** `column_<k>` and `in_column_<k>` for the given distances from the tile's first input column at tap `kx`. */
export function inputColumns(distances: readonly number[]): string[] {
  return distances.map(
    (k) => `let column_${k} = u32(left + kx + ${k}); let in_column_${k} = column_${k} < u.x_w;`,
  );
}

export function tilePixels(tile: ConvTile): { r: number; c: number }[] {
  return range(tile.height).flatMap((r) => range(tile.width).map((c) => ({ r, c })));
}
