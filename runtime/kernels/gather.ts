// Kernels that move and resample: each output element is a small fixed expression over elements of one input. They
// share one skeleton, in which consecutive invocations take consecutive channel groups and then columns, so that
// whole pixels are loaded and stored contiguously; each op adds the lines that make `value`. Memory sets their speed, so
// sizes, strides and offsets are uniform words: one text serves all tensors that are padded alike.

import { type Dim, mulDim } from '../dims.js';
import { putFunction } from './epilogue.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';
import { roundUp } from './kernel.js';
import {
  assemble,
  elementIndex,
  f32Bits,
  literal,
  load,
  type Numbers,
  numbersIn,
  reads,
  stepUses,
  type Use,
  type Width,
  writes,
} from './text.js';

export interface GatherSpec {
  readonly x: View;
  readonly y: View;
  readonly epilogue?: readonly PointwiseStep[];
}

interface GatherOptions {
  /** Channels per element of `x` and of `y`. */
  readonly xWidth?: Width;
  readonly yWidth?: Width;
  /** What else the lines read: storage, uniform words and functions, whose own numbers are words too. */
  readonly uses?: readonly Use[];
  readonly uniforms?: Readonly<Record<string, Dim>>;
  functions?(numbers: Numbers): readonly string[];
}

const WORKGROUP = { x: 64, y: 2 };

/** Copies channels to channels; the offsets need not be aligned, so that it can make any concat and slice. */
export function copy(spec: GatherSpec): KernelCall {
  const aligned = spec.x.offset % 4 === 0 && spec.y.offset % 4 === 0;
  // The padding of an unaligned range ends at the next multiple of 4 of the buffer, not of the range.
  const channel = aligned ? 'group' : 'min(group, u.last)';
  return gather(
    'copy',
    spec,
    [`let value = x_at(image, row, column, ${channel});`],
    aligned ? {} : { xWidth: 1, yWidth: 1, uniforms: { last: spec.x.channels - 1 } },
  );
}

/** The images of `second` after those of `x`. */
export function stack({ second, ...spec }: GatherSpec & { second: View }): KernelCall {
  const uniforms: Record<string, Dim> = { x_n: spec.x.dims[0] };
  const pixel = '((image - u.x_n) * u.x_h + row) * u.x_w + column';
  const other = load(second, 4, elementIndex(second, 4, pixel, 'group', numbersIn(uniforms)));
  const lines = [
    'var value: Value;',
    `if (image < u.x_n) { value = x_at(image, row, column, group); } else { value = ${other}; }`,
  ];
  return gather('stack', spec, lines, { uses: [reads(second)], uniforms });
}

export function upsampleNearest({ factor, ...spec }: GatherSpec & { factor: number }): KernelCall {
  return gather(`nearest${factor}`, spec, [
    `let value = x_at(image, row / ${factor}u, column / ${factor}u, group);`,
  ]);
}

/** `align_corners = false`: pixel centre (o + 1/2) / factor - 1/2, clamped at the border; in units of 1 / (2 factor). */
export function upsampleBilinear({ factor, ...spec }: GatherSpec & { factor: number }): KernelCall {
  const unit = `${2 * factor}u`;
  const along = (axis: string, out: string, size: string): string[] => [
    `let at_${axis} = u32(max(i32(2u * ${out} + 1u) - ${factor}, 0));`,
    `let low_${axis} = at_${axis} / ${unit}; let high_${axis} = min(low_${axis} + 1u, ${size} - 1u);`,
    `let t_${axis} = f32(at_${axis} % ${unit}) / ${2 * factor};`,
  ];
  return gather(`bilinear${factor}`, spec, [
    ...along('y', 'row', 'u.x_h'),
    ...along('x', 'column', 'u.x_w'),
    'let top = mix(x_at(image, low_y, low_x, group), x_at(image, low_y, high_x, group), Value(t_x));',
    'let bottom = mix(x_at(image, high_y, low_x, group), x_at(image, high_y, high_x, group), Value(t_x));',
    'let value = mix(top, bottom, Value(t_y));',
  ]);
}

interface PoolSpec extends GatherSpec {
  readonly size: number;
  readonly stride: number;
}

export function maxPool(spec: PoolSpec): KernelCall {
  return pool('maxpool', spec, 'x_at(image, top, left, group)', (value, x) => `max(${value}, ${x})`, 1);
}

export function avgPool(spec: PoolSpec): KernelCall {
  return pool('avgpool', spec, 'Value()', (value, x) => `${value} + ${x}`, 1 / spec.size ** 2);
}

/** The neighbour below (h) or to the right (w) minus the pixel; `y` is one row or column shorter. */
export function forwardDifference({ axis, ...spec }: GatherSpec & { axis: 'h' | 'w' }): KernelCall {
  const next = axis === 'h' ? 'row + 1u, column' : 'row, column + 1u';
  return gather(`difference_${axis}`, spec, [
    `let value = x_at(image, ${next}, group) - x_at(image, row, column, group);`,
  ]);
}

/** Channel c*r*r + i*r + j of pixel (y, x) becomes channel c of pixel (r*y + i, r*x + j). */
export function pixelShuffle({ factor: r, ...spec }: GatherSpec & { factor: number }): KernelCall {
  if (r === 1) return copy(spec); // x and y may share a buffer then, which is bound with one element type
  return gather(
    `shuffle${r}`,
    spec,
    [
      `let phase = row % ${r}u * ${r}u + column % ${r}u;`,
      'var value: vec4<f32>;',
      'for (var lane = 0u; lane < 4u; lane++) {',
      `let channel = min(group * 4u + lane, u.last) * ${r * r}u + phase;`,
      `value[lane] = x_at(image, row / ${r}u, column / ${r}u, channel);`,
      '}',
    ],
    { xWidth: 1, uniforms: { last: spec.y.channels - 1 } },
  );
}

/** The inverse of the pixel shuffle. */
export function pixelUnshuffle({ factor: r, ...spec }: GatherSpec & { factor: number }): KernelCall {
  if (r === 1) return copy(spec); // x and y may share a buffer then, which is bound with one element type
  return gather(
    `unshuffle${r}`,
    spec,
    [
      'var value: vec4<f32>;',
      'for (var lane = 0u; lane < 4u; lane++) {',
      `let channel = min(group * 4u + lane, u.last); let phase = channel % ${r * r}u;`,
      `value[lane] = x_at(image, row * ${r}u + phase / ${r}u, column * ${r}u + phase % ${r}u, channel / ${r * r}u);`,
      '}',
    ],
    { xWidth: 1, uniforms: { last: spec.y.channels - 1 } },
  );
}

function pool(
  kind: string,
  { size, stride, ...spec }: PoolSpec,
  first: string,
  combine: (value: string, x: string) => string,
  scale: number,
): KernelCall {
  return gather(`${kind}${size}s${stride}`, spec, [
    `let top = row * ${stride}u; let left = column * ${stride}u;`,
    `var value = ${first};`,
    `for (var i = 0u; i < ${size}u; i++) { for (var j = 0u; j < ${size}u; j++) {`,
    `value = ${combine('value', 'x_at(image, top + i, left + j, group)')};`,
    '} }',
    ...(scale === 1 ? [] : [`value *= ${literal(scale)};`]),
  ]);
}

/** `lines` declare `value` for `group` of pixel (`row`, `column`) of `image`. */
export function gather(
  name: string,
  { x, y, epilogue = [] }: GatherSpec,
  lines: readonly string[],
  { xWidth = 4, yWidth = 4, uses = [], uniforms, functions }: GatherOptions = {},
): KernelCall {
  const groups = (roundUp(y.offset + y.channels, 4) - y.offset) / yWidth;
  const words: Record<string, Dim> = {
    x_h: x.dims[1],
    x_w: x.dims[2],
    y_n: y.dims[0],
    y_h: y.dims[1],
    y_w: y.dims[2],
    groups,
    per_group: f32Bits(1 / groups),
    ...uniforms,
  };
  const numbers = numbersIn(words);
  const xIndex = elementIndex(x, xWidth, '(image * u.x_h + row) * u.x_w + column', 'element', numbers);
  const put = putFunction(y, epilogue, yWidth, numbers);
  return assemble({
    name,
    uniforms: words,
    uses: [reads(x, xWidth), writes(y, yWidth), ...stepUses(epilogue, yWidth), ...uses],
    width: yWidth,
    body: [
      `fn x_at(image: u32, row: u32, column: u32, element: u32) -> ${xWidth === 4 ? 'vec4<f32>' : 'f32'} {`,
      `return ${load(x, xWidth, xIndex)};`,
      '}',
      ...(functions?.(numbers) ?? []),
      ...put,
      `@compute @workgroup_size(${WORKGROUP.x}, ${WORKGROUP.y})`,
      'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
      // id.x / groups, without the division, which software Vulkan makes lane by lane. The half keeps quotients away from
      // integers by more than the two roundings err as long as id.x < 2^22, and 65535 workgroups of 64 are fewer.
      'let column = u32((f32(id.x) + 0.5) * bitcast<f32>(u.per_group)); let group = id.x - column * u.groups;',
      'let row = id.y; let image = id.z;',
      'if (column >= u.y_w || row >= u.y_h) { return; }',
      ...lines,
      'put((image * u.y_h + row) * u.y_w + column, group, 0u, value);',
      '}',
    ],
    workgroups: [
      [{ dim: mulDim(y.dims[2], groups), per: WORKGROUP.x }],
      [{ dim: y.dims[1], per: WORKGROUP.y }],
      [{ dim: y.dims[0], per: 1 }],
    ],
  });
}
