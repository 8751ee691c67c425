// What the variants of the convolution share: the form that the convolution and its gradient have in common, where an
// output pixel and a tap find their input, names and uniforms.

import type { Dim } from '../dims.js';
import type { Conv2dSpec, ConvTile } from './conv2d.js';
import { range } from './text.js';

/**
 * A convolution; or `transposed` the gradient of one with respect to its input, from its own weights. Then `x` is the
 * gradient of the result, `y` that of the input, and the phases are the positions that the stride tells apart: an input
 * pixel of phase i meets the taps i + pad, i + pad - stride, … only, and consecutive pixels of a phase meet consecutive
 * outputs.
 */
export interface ConvForm extends Conv2dSpec {
  readonly transposed: boolean;
}

export interface SubgroupForm extends ConvForm {
  readonly subgroupSize: number;
}

export function convName({ kernel, x, y, phases, transposed }: ConvForm, variant: string): string {
  const [op, phased] = transposed ? ['dgrad', ''] : ['conv', phases > 1 ? `_p${phases}` : ''];
  return `${op}${kernel.join('x')}_${x.channels}_${y.channels}${phased}_${variant}`;
}

/**
 * Sizes, and the trip counts of the loops over taps and blocks of input channels: as constants they would tempt drivers
 * to unroll a kernel of a thousand multiply-adds ninefold, and then to compile it for many seconds.
 */
export function convUniforms({ x, y, kernel }: ConvForm, blocks: number): Record<string, Dim> {
  const trips = { kernel_h: kernel[0], kernel_w: kernel[1], blocks };
  return { x_h: x.dims[1], x_w: x.dims[2], y_h: y.dims[1], y_w: y.dims[2], ...trips };
}

/** Declares the phase of `phase`. */
export function placePhase({ phases }: ConvForm): string[] {
  const side = Math.sqrt(phases);
  return [`let phase_y = phase / ${side}u; let phase_x = phase % ${side}u;`];
}

/**
 * The input row of output row `row` of its phase at tap 0, or for a gradient at the first tap that it meets. Before the
 * image's edge where there is padding.
 */
export function origin(
  { stride, pad, phaseShift, transposed }: ConvForm,
  row: string,
  phase: string,
): string {
  if (transposed) return `i32(${row} + (${phase} + ${pad}u) / ${stride}u)`;
  return `i32((${row}) * ${stride}u) - ${pad}${phaseShift ? ` + i32(${phase})` : ''}`;
}

/** The input row that tap `tap` meets, from an origin. */
export function inputAt({ stride, transposed }: ConvForm, from: string, tap: string): string {
  return transposed ? `${from} - ${tap} / ${stride}` : `${from} + ${tap}`;
}

/** Input rows between the origins of two output rows of a phase. */
export function inputStep({ stride, transposed }: ConvForm): number {
  return transposed ? 1 : stride;
}

/** The loops over the taps, `unrolled` of a kernel row at a time; `tap` is the number of the first of them. */
export function tapLoops(
  { kernel, stride, pad, transposed }: ConvForm,
  unrolled: number,
): { rows: string; columns: string } {
  const loop = (tap: string, end: string, phase: string, step: number) => {
    const [first, by] = transposed ? [`i32((${phase} + ${pad}u) % ${stride}u)`, stride] : ['0', step];
    return `for (var ${tap} = ${first}; ${tap} < i32(u.${end}); ${tap} += ${by}) {`;
  };
  const before = transposed ? '' : `phase * ${kernel[0] * kernel[1]}u + `;
  return {
    rows: loop('ky', 'kernel_h', 'phase_y', 1),
    columns: `${loop('kx', 'kernel_w', 'phase_x', unrolled)} let tap = ${before}u32(ky * ${kernel[1]} + kx);`,
  };
}

/** How many taps of a kernel row are unrolled by text: few, because texts take long to compile, and none is left over. */
export function unrolledTaps(columns: number): number {
  return [4, 3, 2].find((taps) => columns % taps === 0) ?? 1;
}

/** `mac(sum, x, w)`: adds the products of 4 input channels and their weights, a column for each. */
export const MULTIPLY_ADD: readonly string[] = [
  'fn mac(sum: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {',
  'return fma(x.wwww, w[3], fma(x.zzzz, w[2], fma(x.yyyy, w[1], fma(x.xxxx, w[0], sum))));',
  '}',
];

export function tilePixels(tile: Pick<ConvTile, 'width' | 'height'>): { r: number; c: number }[] {
  return range(tile.height).flatMap((r) => range(tile.width).map((c) => ({ r, c })));
}
