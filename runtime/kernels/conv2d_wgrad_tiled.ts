// The gradient of conv weights for GPUs with workgroup memory: a matrix product whose sum runs over pixels. A workgroup
// makes a tile of input by output channels under some taps, and sums a part's pixels, patch by patch: it stages a patch
// of dy and the pixels of x that it meets, each read once for all taps and channels of the tile.
//
// Why so, from what is known of GPUs; no part of it has been timed on one yet:
// - An invocation keeps 4 input by 4 output channels under up to 4 taps of a kernel row, or several such output groups.
//   Taps slide over a run of pixels in registers: 3 taps and a run of 4 take 10 loads from workgroup memory for 192
//   multiply-adds, 38 for a pair; with two output groups 55. 48 or 96 sums leave room for the run under 128 registers.
// - Lanes run over output groups first: dy is then consecutive vec4 and x broadcast; then over input groups; last over
//   rows of the kernel, which share all that is staged. So do loads and stores of global memory: 64 to 128 bytes each.
// - Channels that are left over are computed from the last ones and not stored: no branch in the inner loop.
// - Parts are whole rows, added up in fixed order by another kernel: no atomics, the same bits every time.

import { internal } from '../../diagnostics.js';
import type { TiledTile } from './conv2d.js';
import type { WgradSpec } from './conv2d_backward.js';
import { unrolledTaps } from './conv2d_frame.js';
import { STORAGE_BYTES } from './conv2d_staging.js';
import type { KernelCall, View } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, writes } from './text.js';

/** Pixels of a row that share the vectors of x between taps. */
const RUN = 4;
const MOST_VECTORS = STORAGE_BYTES / 16;

/** vec4<f32> that a workgroup stages of x, in so many columns, and of dy; undefined where the tile does not fit. */
export function wgradStaging(
  [height, width]: readonly [height: number, width: number],
  stride: number,
  tile: TiledTile,
): { readonly columns: number; readonly x: number; readonly dy: number } | undefined {
  const [inputs, outputs, kernelRows] = tile.lanes;
  const rows = (tile.height - 1) * stride + kernelRows;
  const columns = (tile.width - 1) * stride + unrolledTaps(width);
  const [x, dy] = [rows * columns * inputs, tile.height * tile.width * outputs * tile.groups];
  if (tile.width % RUN > 0 || height % kernelRows > 0 || x + dy > MOST_VECTORS) return undefined;
  return { columns, x, dy };
}

/** `tile`: pixels of dy at a time, output groups of an invocation; lanes over input groups, output groups, kernel rows. */
export function wgradTiled(spec: WgradSpec, tile: TiledTile): KernelCall {
  const { x, dy, partial, parts, kernel, stride, pad } = spec;
  const staging =
    wgradStaging(kernel, stride, tile) ??
    internal(`a tile of ${JSON.stringify(tile)} does not fit a gradient of ${kernel.join('x')} weights`);
  const { columns } = staging;
  const [laneInputs, laneOutputs, laneRows] = tile.lanes;
  const invocations = laneInputs * laneOutputs * laneRows;
  const unrolled = unrolledTaps(kernel[1]);
  const [inputs, outputs] = [groupsOf(x.channels), groupsOf(dy.channels)];
  const tileOutputs = laneOutputs * tile.groups;
  const [inputSplits, outputSplits] = [Math.ceil(inputs / laneInputs), Math.ceil(outputs / tileOutputs)];
  const [rowSplits, columnSplits] = [kernel[0] / laneRows, kernel[1] / unrolled];
  const stage = (name: string, view: View, count: number, place: (e: string, s: number) => string[]) => [
    ...range(Math.ceil(count / invocations)).flatMap((s) => {
      const pixel = `select(0u, ${elementIndex(view, 4, `pixel_${s}`, `group_${s}`)}, in_${s})`;
      return [
        ...place(`(lane + ${s * invocations}u)`, s),
        `let v_${s} = select(Value(), ${load(view, 4, pixel)}, in_${s});`,
      ];
    }),
    ...range(Math.ceil(count / invocations)).map(
      (s) => `if (lane + ${s * invocations}u < ${count}u) { ${name}[lane + ${s * invocations}u] = v_${s}; }`,
    ),
  ];
  const sum = (t: number, g: number, k: number): string => `sum_${t}_${g}_${k}`;
  const sums = range(unrolled).flatMap((t) =>
    range(tile.groups).flatMap((g) => range(4).map((k) => ({ t, g, k }))),
  );
  const offsets = [...new Set(range(RUN).flatMap((q) => range(unrolled).map((t) => q * stride + t)))];
  return assemble({
    name: `wgrad${kernel.join('x')}_${x.channels}_${dy.channels}_tiled`,
    uniforms: { x_h: x.dims[1], x_w: x.dims[2], dy_n: dy.dims[0], dy_h: dy.dims[1], dy_w: dy.dims[2] },
    uses: [reads(x), reads(dy), writes(partial)],
    width: 4,
    body: [
      `var<workgroup> xs: array<Value, ${staging.x}>;`,
      `var<workgroup> dys: array<Value, ${staging.dy}>;`,
      `@compute @workgroup_size(${invocations})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
      `let lane_o = lane % ${laneOutputs}u; let lane_i = lane / ${laneOutputs}u % ${laneInputs}u; let lane_y = lane / ${laneOutputs * laneInputs}u;`,
      `let first_o = id.x % ${outputSplits}u * ${tileOutputs}u; let first_i = id.x / ${outputSplits}u % ${inputSplits}u * ${laneInputs}u;`,
      `let kx = id.x / ${outputSplits * inputSplits}u % ${columnSplits}u * ${unrolled}u; let first_ky = id.x / ${outputSplits * inputSplits * columnSplits}u * ${laneRows}u;`,
      ...sums.map(({ t, g, k }) => `var ${sum(t, g, k)} = Value();`),
      `let rows = u.dy_n * u.dy_h; let share = (rows + ${parts - 1}u) / ${parts}u; let end = min((id.y + 1u) * share, rows);`,
      'var count = 0u;',
      'for (var row = id.y * share; row < end; row += count) {',
      // Of one image, because the rows of x that they meet lie together.
      `let image = row / u.dy_h; let y = row % u.dy_h; count = min(${tile.height}u, min(end - row, u.dy_h - y));`,
      `for (var column = 0u; column < u.dy_w; column += ${tile.width}u) {`,
      'workgroupBarrier();',
      '{',
      ...stage('xs', x, staging.x, (e, s) => [
        // Positions before the image wrap to huge numbers.
        `let y_${s} = y * ${stride}u + first_ky + ${e} / ${columns * laneInputs}u - ${pad}u;`,
        `let x_${s} = column * ${stride}u + kx + ${e} / ${laneInputs}u % ${columns}u - ${pad}u;`,
        `let group_${s} = min(first_i + ${e} % ${laneInputs}u, ${inputs - 1}u);`,
        `let pixel_${s} = (image * u.x_h + y_${s}) * u.x_w + x_${s}; let in_${s} = y_${s} < u.x_h && x_${s} < u.x_w;`,
      ]),
      '} {',
      ...stage('dys', dy, staging.dy, (e, s) => [
        `let y_${s} = ${e} / ${tile.width * tileOutputs}u; let x_${s} = column + ${e} / ${tileOutputs}u % ${tile.width}u;`,
        `let group_${s} = min(first_o + ${e} % ${tileOutputs}u, ${outputs - 1}u);`,
        `let pixel_${s} = (row + y_${s}) * u.dy_w + x_${s}; let in_${s} = y_${s} < count && x_${s} < u.dy_w;`,
      ]),
      '}',
      'workgroupBarrier();',
      'for (var r = 0u; r < count; r++) {',
      `for (var c = 0u; c < min(${tile.width}u, u.dy_w - column); c += ${RUN}u) {`,
      `let x_at = ((r * ${stride}u + lane_y) * ${columns}u + c * ${stride}u) * ${laneInputs}u + lane_i;`,
      `let dy_at = (r * ${tile.width}u + c) * ${tileOutputs}u + lane_o;`,
      ...offsets.map((at) => `let x_${at} = xs[x_at + ${at * laneInputs}u];`),
      ...range(RUN).flatMap((q) =>
        range(tile.groups).flatMap((g) => [
          `let dy_${q}_${g} = dys[dy_at + ${q * tileOutputs + g * laneOutputs}u];`,
          ...range(unrolled).flatMap((t) =>
            range(4).map(
              (k) =>
                `${sum(t, g, k)} = fma(x_${q * stride + t}, Value(dy_${q}_${g}[${k}]), ${sum(t, g, k)});`,
            ),
          ),
        ]),
      ),
      '} } } }',
      `let i = first_i + lane_i; if (i >= ${inputs}u) { return; }`,
      ...range(tile.groups).flatMap((g) => [
        `let o_${g} = first_o + lane_o + ${g * laneOutputs}u;`,
        `if (o_${g} < ${outputs}u) {`,
        `let tap = (id.y * ${kernel[0]}u + first_ky + lane_y) * ${kernel[1]}u + kx;`,
        ...sums
          .filter((one) => one.g === g)
          .map(
            ({ t, k }) =>
              `s${partial.slot}[((tap + ${t}u) * ${inputs}u + i) * ${4 * outputs}u + 4u * o_${g} + ${k}u] = ${sum(t, g, k)};`,
          ),
        '}',
      ]),
      '}',
    ],
    workgroups: [
      [{ dim: inputSplits * outputSplits * rowSplits * columnSplits, per: 1 }],
      [{ dim: parts, per: 1 }],
      [],
    ],
  });
}
