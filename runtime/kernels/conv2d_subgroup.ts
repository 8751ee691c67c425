// The convolution for software Vulkan, where the lanes of a subgroup are the lanes of a SIMD register: lane = output
// channel. A block of input channels of a pixel is loaded by as many lanes with one load each and spread by
// `subgroupBroadcast`, so a load of weights serves a whole tile of pixels. Elements are scalars, because what software
// drivers make of a vec4 load costs more than four scalar loads.

import { gcd } from '../dims.js';
import type { Conv2dSpec, ConvTile } from './conv2d.js';
import { convName, convUniforms, inputColumns, inputRows, placeTile, tilePixels } from './conv2d_frame.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { roundUp } from './kernel.js';
import { assemble, elementIndex, load, range, reads, stepUses, writes } from './text.js';

/** Large, because loads cost 20 times a multiply-add; unrolling taps as well gains little and compiles 3x longer. */
const DEFAULT_TILE: ConvTile = { width: 8, height: 4, groups: 4 };

export function conv2dSubgroup(spec: Conv2dSpec & { subgroupSize: number }): KernelCall {
  const { x, y, weight, kernel, stride, phases, epilogue, subgroupSize: lanes } = spec;
  const [inputs, outputs] = [roundUp(x.channels, 4), roundUp(y.channels, 4)];
  const preferred = spec.tile ?? DEFAULT_TILE;
  const tile = { ...preferred, groups: Math.min(preferred.groups, Math.ceil(outputs / lanes)) };
  const splits = Math.ceil(outputs / (lanes * tile.groups));
  const block = gcd(lanes, inputs);
  const side = Math.sqrt(phases);
  const sums = tilePixels(tile).flatMap(({ r, c }) => range(tile.groups).map((g) => `sum_${r}_${c}_${g}`));
  const body = [
    ...putFunction(y, epilogue, 1),
    `@compute @workgroup_size(${lanes})`,
    'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {',
    ...placeTile(spec, tile, splits),
    ...range(tile.groups).flatMap((g) => [
      `let channel_${g} = (split * ${tile.groups}u + ${g}u) * ${lanes}u + lane;`,
      `let output_${g} = min(channel_${g}, ${outputs - 1}u) * 4u;`,
    ]),
    ...sums.map((sum) => `var ${sum} = 0f;`),
    'for (var ky = 0; ky < i32(u.kernel_h); ky++) {',
    ...inputRows(tile, stride),
    'for (var kx = 0; kx < i32(u.kernel_w); kx++) {',
    ...inputColumns(range(tile.width).map((c) => c * stride)),
    `let tap = phase * ${kernel[0] * kernel[1]}u + u32(ky * ${kernel[1]} + kx);`,
    `for (var i = 0u; i < u.blocks * ${block}u; i += ${block}u) {`,
    ...tilePixels(tile).flatMap(({ r, c }) => loadInput(spec, r, c, block)),
    ...range(block).flatMap((i) => loadWeights(spec, i, tile.groups)),
    // By rows, so that the sums being updated stay in SIMD registers.
    ...range(tile.height).flatMap((r) =>
      range(block).flatMap((i) =>
        range(tile.width).flatMap((c) => [
          `{ let x = subgroupBroadcast(x_${r}_${c}, ${i}u);`,
          ...range(tile.groups).map((g) => `sum_${r}_${c}_${g} += x * w_${i}_${g};`),
          '}',
        ]),
      ),
    ),
    '} } }',
    // Stored in a loop: dynamic indices cost less than the text of an epilogue for each sum.
    `var sums = array<f32, ${sums.length}>(${sums.join(', ')});`,
    `for (var k = 0u; k < ${tile.width * tile.height}u; k++) {`,
    `let r = row + k / ${tile.width}u; let c = column + k % ${tile.width}u;`,
    'if (r >= rows || c >= columns) { continue; }',
    `let pixel = (image * u.y_h + r * ${side}u + phase_y) * u.y_w + c * ${side}u + phase_x;`,
    ...range(tile.groups).map((g) => {
      const sum = `sums[k * ${tile.groups}u + ${g}u]`;
      return `if (channel_${g} < ${outputs}u) { put(pixel, channel_${g}, phase, ${sum}); }`;
    }),
    '}',
    '}',
  ];
  return assemble({
    name: convName(spec, 'subgroup'),
    uniforms: convUniforms(spec, inputs / block),
    uses: [reads(x, 1), writes(y, 1), reads(weight, 1), ...stepUses(epilogue, 1)],
    width: 1,
    subgroupSize: lanes,
    body,
    workgroups: [
      [{ dim: y.dims[2], per: side * tile.width }],
      [{ dim: y.dims[1], per: side * tile.height }],
      [
        { dim: y.dims[0], per: 1 },
        { dim: splits * phases, per: 1 },
      ],
    ],
  });
}

/** Lane l gets input channel i + l of a pixel (lanes beyond the block repeat it), 0 outside the image. */
function loadInput({ x, stride }: Conv2dSpec, r: number, c: number, block: number): string[] {
  const k = c * stride;
  const index = elementIndex(x, 1, `start_${r} + column_${k}`, `i + lane % ${block}u`);
  const inside = `in_${r}_${c}`;
  return [
    `let ${inside} = in_row_${r} && in_column_${k};`,
    `let x_${r}_${c} = select(0f, ${load(x, 1, `select(0u, ${index}, ${inside})`)}, ${inside});`,
  ];
}

/** Lane l gets the weights of its output channels for input channel i + `offset`. */
function loadWeights({ x, y, weight }: Conv2dSpec, offset: number, groups: number): string[] {
  const inputGroup = `tap * ${roundUp(x.channels, 4) / 4}u + (i + ${offset}u) / 4u`;
  return [
    `let w_${offset} = (${inputGroup}) * ${roundUp(y.channels, 4) * 4}u + ${offset % 4}u;`,
    ...range(groups).map((g) => `let w_${offset}_${g} = ${load(weight, 1, `w_${offset} + output_${g}`)};`),
  ];
}
