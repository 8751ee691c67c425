// The convolution for software Vulkan, where the lanes of a subgroup are the lanes of a SIMD register: lane = output
// channel. A block of input channels of a pixel is loaded by as many lanes with one load each and spread by
// `subgroupBroadcast`, so a load of weights serves a whole tile of pixels. Elements are scalars, because what software
// drivers make of a vec4 load costs more than four scalar loads. Loads stand in loops, once in the text, because such a
// driver compiles each into a branch per lane: unrolled, they take seconds to compile (64 loads: 4.0 s, in loops 0.9 s).

import { gcd } from '../dims.js';
import type { Conv2dSpec, ConvTile } from './conv2d.js';
import { convName, convUniforms, placeTile, tilePixels } from './conv2d_frame.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { roundUp } from './kernel.js';
import { assemble, elementIndex, load, range, reads, stepUses, writes } from './text.js';

/** Large, because loads cost 20 times a multiply-add. */
const DEFAULT_TILE: ConvTile = { width: 8, height: 4, groups: 4 };

export function conv2dSubgroup(spec: Conv2dSpec & { subgroupSize: number }): KernelCall {
  const { x, y, weight, kernel, phases, epilogue, subgroupSize: lanes } = spec;
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
    `var inputs: array<f32, ${tile.width * tile.height}>;`,
    `var weights: array<f32, ${block * tile.groups}>;`,
    'for (var ky = 0; ky < i32(u.kernel_h); ky++) { for (var kx = 0; kx < i32(u.kernel_w); kx++) {',
    `let tap = phase * ${kernel[0] * kernel[1]}u + u32(ky * ${kernel[1]} + kx);`,
    `for (var i = 0u; i < u.blocks * ${block}u; i += ${block}u) {`,
    ...loadInputs(spec, tile, block),
    ...loadWeights(spec, tile.groups),
    // By rows, so that the sums being updated stay in SIMD registers.
    ...range(tile.height).flatMap((r) =>
      range(block).flatMap((i) =>
        range(tile.width).flatMap((c) => [
          `{ let x = subgroupBroadcast(inputs[${r * tile.width + c}], ${i}u);`,
          ...range(tile.groups).map((g) => `sum_${r}_${c}_${g} += x * weights[${i * tile.groups + g}];`),
          '}',
        ]),
      ),
    ),
    '} } }',
    // Stored in a loop too: dynamic indices cost less than the text of an epilogue for each sum.
    `var sums = array<f32, ${sums.length}>(${sums.join(', ')});`,
    'for (var k = 0u; k < u.pixels; k++) {',
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
    uniforms: { ...convUniforms(spec, inputs / block), pixels: tile.width * tile.height, block },
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

/** Lane l gets input channel i + l of each pixel (lanes beyond the block repeat it), 0 outside the image. */
function loadInputs({ x, stride }: Conv2dSpec, tile: ConvTile, block: number): string[] {
  const pixel = '(image * u.x_h + y) * u.x_w + x';
  const index = elementIndex(x, 1, pixel, `i + lane % ${block}u`);
  return [
    'for (var k = 0u; k < u.pixels; k++) {',
    `let y = u32(top + ky) + k / ${tile.width}u * ${stride}u; let x = u32(left + kx) + k % ${tile.width}u * ${stride}u;`,
    'let inside = y < u.x_h && x < u.x_w;',
    `inputs[k] = select(0f, ${load(x, 1, `select(0u, ${index}, inside)`)}, inside);`,
    '}',
  ];
}

/** Lane l gets, for each input channel of the block, the weights of its output channels. */
function loadWeights({ x, y, weight }: Conv2dSpec, groups: number): string[] {
  const [inputGroups, outputs] = [roundUp(x.channels, 4) / 4, roundUp(y.channels, 4)];
  const row = `(tap * ${inputGroups}u + (i + k) / 4u) * ${4 * outputs}u + k % 4u`;
  return [
    'for (var k = 0u; k < u.block; k++) {',
    `let row = ${row};`,
    ...range(groups).map((g) => `weights[k * ${groups}u + ${g}u] = ${load(weight, 1, `row + output_${g}`)};`),
    '}',
  ];
}
