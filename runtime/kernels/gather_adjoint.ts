// The adjoints of the kernels that move and resample. Each is a gather too: an element of the result adds up, in a
// fixed order, every element that the forward kernel made from it, so that no two invocations write one place.

import type { Dim } from '../dims.js';
import { type GatherSpec, gather } from './gather.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';
import { elementIndex, literal, load, numbersIn, reads } from './text.js';

/** `x` is the gradient of the upsampled image. */
export function upsampleNearestAdjoint({ factor, ...spec }: GatherSpec & { factor: number }): KernelCall {
  return gather(`nearest${factor}_adjoint`, spec, [
    'var value = Value();',
    `for (var i = 0u; i < ${factor}u; i++) { for (var j = 0u; j < ${factor}u; j++) {`,
    `value += x_at(image, row * ${factor}u + i, column * ${factor}u + j, group);`,
    '} }',
  ]);
}

/** `x` is the gradient of the upsampled image, whose pixel o lies at (o + 1/2) / factor - 1/2, clamped at the border. */
export function upsampleBilinearAdjoint({ factor, ...spec }: GatherSpec & { factor: number }): KernelCall {
  const unit = 2 * factor;
  // As in the forward kernel: positions in units of 1 / (2 factor), so that the same pixels get the same weights.
  const weight = [
    'fn weight(out: u32, at: u32, size: u32) -> f32 {',
    `let position = u32(max(i32(2u * out + 1u) - ${factor}, 0));`,
    `let low = position / ${unit}u; let high = min(low + 1u, size - 1u);`,
    `let t = f32(position % ${unit}u) / ${unit};`,
    'return select(0f, 1 - t, low == at) + select(0f, t, high == at);',
    '}',
  ];
  // Pixels o with (o + 1/2) / factor - 1/2 strictly between `at - 1` and `at + 1`.
  const first = (at: string): string => `(max(2u * ${at}, 1u) - 1u) * ${factor}u / 2u`;
  const end = (at: string): string => `((2u * ${at} + 3u) * ${factor}u + 1u) / 2u`;
  return gather(
    `bilinear${factor}_adjoint`,
    spec,
    [
      'var value = Value();',
      `for (var i = ${first('row')}; i < min(${end('row')}, u.x_h); i++) {`,
      'let down = weight(i, row, u.y_h);',
      `for (var j = ${first('column')}; j < min(${end('column')}, u.x_w); j++) {`,
      'value += down * weight(j, column, u.y_w) * x_at(image, i, j, group);',
      '} }',
    ],
    { functions: () => weight },
  );
}

interface PoolAdjointSpec extends GatherSpec {
  readonly size: number;
  readonly stride: number;
}

/** Declares the range of windows, from `first_<axis>` to before `end_<axis>`, that contain position `at`. */
function windows(axis: string, at: string, count: string, size: number, stride: number): string[] {
  return [
    `let first_${axis} = (max(${at} + ${stride}u, ${size}u) - ${size}u) / ${stride}u;`,
    `let end_${axis} = min(${at} / ${stride}u + 1u, ${count});`,
  ];
}

/** `x` is the gradient of the pooled image. */
export function avgPoolAdjoint({ size, stride, ...spec }: PoolAdjointSpec): KernelCall {
  return gather(`avgpool${size}s${stride}_adjoint`, spec, [
    ...windows('y', 'row', 'u.x_h', size, stride),
    ...windows('x', 'column', 'u.x_w', size, stride),
    'var value = Value();',
    'for (var i = first_y; i < end_y; i++) { for (var j = first_x; j < end_x; j++) {',
    'value += x_at(image, i, j, group);',
    '} }',
    `value *= ${literal(1 / size ** 2)};`,
  ]);
}

interface MaxPoolAdjointSpec {
  /** What was pooled. */
  readonly x: View;
  /** The gradient of the pooled image. */
  readonly dy: View;
  /** The gradient of `x`. */
  readonly y: View;
  readonly size: number;
  readonly stride: number;
  readonly epilogue?: readonly PointwiseStep[];
}

/** A window's gradient goes to the first of its largest elements: above all before it, at least all after it. */
export function maxPoolAdjoint({ dy, size, stride, ...spec }: MaxPoolAdjointSpec): KernelCall {
  const uniforms: Record<string, Dim> = { dy_h: dy.dims[1], dy_w: dy.dims[2] };
  const at = elementIndex(dy, 4, '(image * u.dy_h + i) * u.dy_w + j', 'group', numbersIn(uniforms));
  return gather(
    `maxpool${size}s${stride}_adjoint`,
    spec,
    [
      ...windows('y', 'row', 'u.dy_h', size, stride),
      ...windows('x', 'column', 'u.dy_w', size, stride),
      'let own = x_at(image, row, column, group);',
      'var value = Value();',
      'for (var i = first_y; i < end_y; i++) { for (var j = first_x; j < end_x; j++) {',
      'var won = vec4<bool>(true);',
      `for (var k = 0u; k < ${size ** 2}u; k++) {`,
      `let r = i * ${stride}u + k / ${size}u; let c = j * ${stride}u + k % ${size}u;`,
      'let other = x_at(image, r, c, group);',
      'let before = r < row || (r == row && c < column);',
      'won &= select(own >= other, own > other, vec4<bool>(before));',
      '}',
      `value += select(Value(), ${load(dy, 4, at)}, won);`,
      '} }',
    ],
    { uses: [reads(dy)], uniforms },
  );
}

/** `x` is the gradient of the differences, which are one row or column fewer. */
export function forwardDifferenceAdjoint({ axis, ...spec }: GatherSpec & { axis: 'h' | 'w' }): KernelCall {
  const [at, size] = axis === 'h' ? ['row', 'u.x_h'] : ['column', 'u.x_w'];
  const [own, before] =
    axis === 'h' ? [`row, column`, 'row - 1u, column'] : ['row, column', 'row, column - 1u'];
  return gather(`difference_${axis}_adjoint`, spec, [
    'var value = Value();',
    `if (${at} < ${size}) { value -= x_at(image, ${own}, group); }`,
    `if (${at} > 0u) { value += x_at(image, ${before}, group); }`,
  ]);
}

/** Zeros around the channels of `x`, of which `before` before them: the adjoint of a slice. */
export function padChannels({ before, ...spec }: GatherSpec & { before: number }): KernelCall {
  return gather(
    'pad',
    spec,
    [
      'var value = 0f;',
      'if (group >= u.before && group < u.end) { value = x_at(image, row, column, group - u.before); }',
    ],
    { xWidth: 1, yWidth: 1, uniforms: { before, end: before + spec.x.channels } },
  );
}
