// The gradient of conv weights for GPUs: each invocation keeps the sums of 4 input by 4 output channels under up to 4 taps
// of a kernel row, and walks over its part's pixels. Taps share loads of x, and neighbouring invocations those of dy and
// x, through the caches.

import type { WgradSpec } from './conv2d_backward.js';
import { unrolledTaps } from './conv2d_frame.js';
import type { KernelCall } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, writes } from './text.js';

const WORKGROUP = 64;
/** Pixels of a row that one pass adds up. */
const RUN = 2;

export function wgradDirect({ x, dy, partial, parts, kernel, stride, pad }: WgradSpec): KernelCall {
  const [height, width] = kernel;
  const [inputs, outputs] = [groupsOf(x.channels), groupsOf(dy.channels)];
  const unrolled = unrolledTaps(width);
  const tiles = ((height * width) / unrolled) * inputs * outputs;
  const columns = [...new Set(range(RUN).flatMap((q) => range(unrolled).map((t) => q * stride + t)))];
  const sum = (t: number, o: number): string => `sum_${t}_${o}`;
  return assemble({
    name: `wgrad${height}x${width}_${x.channels}_${dy.channels}_direct`,
    uniforms: { x_h: x.dims[1], x_w: x.dims[2], dy_n: dy.dims[0], dy_h: dy.dims[1], dy_w: dy.dims[2] },
    uses: [reads(x), reads(dy), writes(partial)],
    width: 4,
    body: [
      `@compute @workgroup_size(${WORKGROUP})`,
      'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
      `if (id.x >= ${tiles}u) { return; }`,
      `let o = id.x % ${outputs}u; let i = id.x / ${outputs}u % ${inputs}u; let tap = id.x / ${outputs * inputs}u * ${unrolled}u;`,
      `let ky = tap / ${width}u; let kx = tap % ${width}u;`,
      ...range(unrolled).flatMap((t) => range(4).map((k) => `var ${sum(t, k)} = Value();`)),
      `let rows = u.dy_n * u.dy_h; let share = (rows + ${parts - 1}u) / ${parts}u;`,
      'for (var row = id.y * share; row < min((id.y + 1u) * share, rows); row++) {',
      // Positions before the image wrap to huge numbers.
      `let x_row = row % u.dy_h * ${stride}u + ky - ${pad}u;`,
      'if (x_row >= u.x_h) { continue; }',
      'let start = (row / u.dy_h * u.x_h + x_row) * u.x_w;',
      `for (var column = 0u; column < u.dy_w; column += ${RUN}u) {`,
      ...columns.flatMap((c) => [
        `let column_${c} = column * ${stride}u + kx + ${c}u - ${pad}u;`,
        `let x_${c} = select(Value(), ${load(x, 4, `select(0u, ${elementIndex(x, 4, `start + column_${c}`, 'i')}, column_${c} < u.x_w)`)}, column_${c} < u.x_w);`,
      ]),
      ...range(RUN).flatMap((q) => [
        `let in_${q} = column + ${q}u < u.dy_w;`,
        `let dy_${q} = select(Value(), ${load(dy, 4, `select(0u, ${elementIndex(dy, 4, `row * u.dy_w + column + ${q}u`, 'o')}, in_${q})`)}, in_${q});`,
        ...range(unrolled).flatMap((t) =>
          range(4).map((k) => `${sum(t, k)} = fma(x_${q * stride + t}, Value(dy_${q}[${k}]), ${sum(t, k)});`),
        ),
      ]),
      '} }',
      ...range(unrolled).flatMap((t) => [
        `let at_${t} = ((id.y * ${height * width}u + tap + ${t}u) * ${inputs}u + i) * ${4 * outputs}u + 4u * o;`,
        ...range(4).map((k) => `s${partial.slot}[at_${t} + ${k}u] = ${sum(t, k)};`),
      ]),
      '}',
    ],
    workgroups: [[{ dim: tiles, per: WORKGROUP }], [{ dim: parts, per: 1 }], []],
  });
}
