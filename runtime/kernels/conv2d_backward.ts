// The two gradients of a convolution (no phases), in their direct form. `dgrad` gathers: each input pixel sums over the
// outputs that saw it. `wgrad` splits its long sum over rows into a fixed number of parts, added up in order by
// `wgradSum`, so that the result depends on the shapes only.

import type { DType } from '../plan.js';
import { gather } from './gather.js';
import type { KernelCall, View } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, reads, writes } from './text.js';

interface Geometry {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly pad: number;
}

/** Weights, or their gradient, as `convPacking` lays them out; `parts` times in a row for partial sums. */
interface Weights {
  readonly slot: number;
  readonly dtype: DType;
}

interface DgradSpec extends Geometry {
  readonly dy: View;
  readonly dx: View;
  /** `[I, O, H, W]` (in and out exchanged, taps as they are) packed as a conv from O to I channels. */
  readonly weight: Weights;
}

/** The gradient with respect to the input. */
export function dgrad({ dy, dx, weight, kernel, stride, pad }: DgradSpec): KernelCall {
  const [height, width] = kernel;
  const outputs = groupsOf(dy.channels);
  const rows = groupsOf(dx.channels) * 4;
  const lane = (k: number): string => load(weight, 4, `w + ${k}u`);
  return gather(
    `dgrad${height}x${width}_${dy.channels}_${dx.channels}`,
    { x: dy, y: dx },
    [
      'var value = Value();',
      `for (var ky = 0u; ky < ${height}u; ky++) { for (var kx = 0u; kx < ${width}u; kx++) {`,
      // The output that has this pixel under tap (ky, kx), times the stride; it wraps to a huge number before the edge.
      `let top = row + ${pad}u - ky; let left = column + ${pad}u - kx;`,
      `let y = top / ${stride}u; let x = left / ${stride}u;`,
      `if (top % ${stride}u != 0u || left % ${stride}u != 0u || y >= u.x_h || x >= u.x_w) { continue; }`,
      `for (var o = 0u; o < ${outputs}u; o++) {`,
      'let d = x_at(image, y, x, o);',
      `let w = ((ky * ${width}u + kx) * ${outputs}u + o) * ${rows}u + group * 4u;`,
      `value += d * mat4x4<f32>(${[0, 1, 2, 3].map(lane).join(', ')});`,
      '} } }',
    ],
    { uses: [reads(weight)] },
  );
}

interface WgradSpec extends Geometry {
  readonly x: View;
  readonly dy: View;
  /** f32: WGRAD_PARTS gradients one after the other, each packed as a conv from I to O channels. */
  readonly partial: Weights;
}

/** How many partial sums `wgrad` makes. */
export const WGRAD_PARTS = 16;
const WORKGROUP = 64;

/** Partial sums of the gradient with respect to the weights: of each part's share of the rows of all images. */
export function wgrad({ x, dy, partial, kernel, stride, pad }: WgradSpec): KernelCall {
  const [height, width] = kernel;
  const [inputs, outputs] = [groupsOf(x.channels), groupsOf(dy.channels) * 4];
  const size = height * width * inputs * outputs;
  const xIndex = elementIndex(x, 4, 'x_start + x_column', 'i');
  const dyIndex = elementIndex(dy, 1, 'row * u.dy_w + column', 'o');
  return assemble({
    name: `wgrad${height}x${width}_${x.channels}_${dy.channels}`,
    uniforms: { x_h: x.dims[1], x_w: x.dims[2], dy_n: dy.dims[0], dy_h: dy.dims[1], dy_w: dy.dims[2] },
    uses: [reads(x), reads(dy, 1), writes(partial)],
    width: 4,
    body: [
      `@compute @workgroup_size(${WORKGROUP})`,
      'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
      `if (id.x >= ${size}u) { return; }`,
      `let o = id.x % ${outputs}u; let i = id.x / ${outputs}u % ${inputs}u; let tap = id.x / ${outputs * inputs}u;`,
      `let ky = tap / ${width}u; let kx = tap % ${width}u;`,
      `let rows = u.dy_n * u.dy_h; let share = (rows + ${WGRAD_PARTS - 1}u) / ${WGRAD_PARTS}u;`,
      'var sum = Value();',
      'for (var row = id.y * share; row < min((id.y + 1u) * share, rows); row++) {',
      // Positions before the image wrap to huge numbers.
      `let x_row = row % u.dy_h * ${stride}u + ky - ${pad}u;`,
      'if (x_row >= u.x_h) { continue; }',
      'let x_start = (row / u.dy_h * u.x_h + x_row) * u.x_w;',
      'for (var column = 0u; column < u.dy_w; column++) {',
      `let x_column = column * ${stride}u + kx - ${pad}u;`,
      `if (x_column < u.x_w) { sum += ${load(x, 4, xIndex)} * ${load(dy, 1, dyIndex)}; }`,
      '} }',
      `s${partial.slot}[id.y * ${size}u + id.x] = sum;`,
      '}',
    ],
    workgroups: [[{ dim: size, per: WORKGROUP }], [{ dim: WGRAD_PARTS, per: 1 }], []],
  });
}

/** Adds up the parts; `dw` is f32, `elements` its packed length in floats. */
export function wgradSum(spec: { partial: Weights; dw: Weights; elements: number }): KernelCall {
  const { partial, dw, elements } = spec;
  return assemble({
    name: `wgrad_sum_${elements}`,
    uniforms: { size: elements / 4 },
    uses: [reads(partial), writes(dw)],
    width: 4,
    body: [
      `@compute @workgroup_size(${WORKGROUP})`,
      'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
      `if (id.x >= u.size) { return; }`,
      'var sum = Value();',
      `for (var part = 0u; part < ${WGRAD_PARTS}u; part++) { sum += ${load(partial, 4, `part * u.size + id.x`)}; }`,
      `s${dw.slot}[id.x] = sum;`,
      '}',
    ],
    workgroups: [[{ dim: elements / 4, per: WORKGROUP }], [], []],
  });
}
