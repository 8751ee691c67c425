// The convolution for software Vulkan, where the lanes of a subgroup are the lanes of a SIMD register: lane = pixels. A
// lane loads four channels of each of its pixels; weights are loaded one vector per lane and spread by
// `subgroupBroadcast`. Loads are of vec4 and unrolled: on lavapipe a vec4 costs some 50 multiply-adds, four scalars
// twice that, and in a loop, into an array, each costs twice as much again. Tiles are as large as compiling allows.

import {
  convName,
  convUniforms,
  inputAt,
  inputStep,
  origin,
  placePhase,
  type SubgroupForm,
  tapLoops,
} from './conv2d_frame.js';
import { arrange } from './conv2d_tiles.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, stepUses, writes } from './text.js';

/** What one pass of the innermost loop makes: groups of 4 output channels of a lane's pixels, from some taps of a row. */
interface Pass {
  readonly form: SubgroupForm;
  readonly groups: number;
  readonly pixels: number;
  readonly unrolled: number;
}

export function conv2dSubgroup(form: SubgroupForm): KernelCall {
  const { x, y, weight, phases, epilogue, subgroupSize: lanes } = form;
  const { tile, unrolled } = arrange(form);
  const { width, height, images, groups } = tile;
  const splits = Math.ceil(groupsOf(y.channels) / groups);
  const pixels = Math.ceil((width * height * images) / lanes);
  const side = Math.sqrt(phases);
  const sums = range(pixels).flatMap((p) =>
    range(groups).map((g) => range(4).map((c) => `sum_${p}_${g}_${c}`)),
  );
  const pass: Pass = { form, groups, pixels, unrolled };
  const sources = sourcesOf(pass, width);
  const loops = tapLoops(form, unrolled);
  const xIndex = elementIndex(x, 4, 'pixel', 'group');
  return assemble({
    name: convName(form, 'subgroup'),
    uniforms: { ...convUniforms(form, groupsOf(x.channels)), y_n: y.dims[0], sums: sums.length },
    uses: [reads(x), writes(y), reads(weight), ...stepUses(epilogue)],
    width: 4,
    subgroupSize: lanes,
    body: [
      ...putFunction(y, epilogue, 4),
      'fn x_at(pixel: u32, group: u32, inside: bool) -> vec4<f32> {',
      `return select(vec4<f32>(), ${load(x, 4, `select(0u, ${xIndex}, inside)`)}, inside);`,
      '}',
      `@compute @workgroup_size(${lanes})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {',
      `let split = id.z % ${splits}u; let phase = id.z / ${splits}u % ${phases}u;`,
      `let column = id.x * ${width}u; let row = id.y * ${height}u; let image = id.z / ${splits * phases}u * ${images}u;`,
      ...placePhase(form),
      ...sources.places.flatMap((p) => [
        `let at_${p} = lane * ${pixels}u + ${p}u;`,
        `let top_${p} = ${origin(form, `row + at_${p} / ${width}u % ${height}u`, 'phase_y')};`,
        `let left_${p} = ${origin(form, `column + at_${p} % ${width}u`, 'phase_x')};`,
        `let image_${p} = image + at_${p} / ${width * height}u;`,
      ]),
      ...weightOffsets(pass),
      ...sums.flat().map((sum) => `var ${sum} = 0f;`),
      loops.rows,
      ...skip(form, 'row', 'ky', height, 0),
      loops.columns,
      ...skip(form, 'column', 'kx', width, unrolled - 1),
      ...sources.list.flatMap(({ p, step }, s) => [
        `let y_${s} = u32(${inputAt(form, `top_${p}`, 'ky')}); let x_${s} = u32(${inputAt(form, `left_${p}`, 'kx')} + ${step});`,
        `let in_${s} = image_${p} < u.y_n && y_${s} < u.x_h && x_${s} < u.x_w;`,
        `let pixel_${s} = (image_${p} * u.x_h + y_${s}) * u.x_w + x_${s};`,
      ]),
      'for (var i = 0u; i < u.blocks; i++) {',
      ...sources.list.map((_, s) => `let v_${s} = x_at(pixel_${s}, i, in_${s});`),
      ...products(pass, sources.of),
      '} } }',
      // Stored in a loop: dynamic indices cost less than the text of an epilogue for each sum.
      `var sums = array<vec4<f32>, ${sums.length}>(${sums.map((four) => `vec4<f32>(${four.join(', ')})`).join(', ')});`,
      'for (var k = 0u; k < u.sums; k++) {',
      `let at = lane * ${pixels}u + k / ${groups}u; let group = split * ${groups}u + k % ${groups}u;`,
      `let r = (row + at / ${width}u % ${height}u) * ${side}u + phase_y; let c = (column + at % ${width}u) * ${side}u + phase_x;`,
      `let n = image + at / ${width * height}u;`,
      `if (at < ${width * height * images}u && n < u.y_n && r < u.y_h && c < u.y_w && group < ${groupsOf(y.channels)}u) {`,
      'put((n * u.y_h + r) * u.y_w + c, group, phase, sums[k]);',
      '}',
      '}',
      '}',
    ],
    workgroups: [
      [{ dim: y.dims[2], per: side * width }],
      [{ dim: y.dims[1], per: side * height }],
      [
        { dim: y.dims[0], per: images },
        { dim: splits * phases, per: 1 },
      ],
    ],
  });
}

/** Goes on with the next tap where this one finds no input for the tile's rows or columns, nor do `more` after it. */
function skip(
  form: SubgroupForm,
  axis: 'row' | 'column',
  tap: 'ky' | 'kx',
  extent: number,
  more: number,
): string[] {
  const size = axis === 'row' ? 'u.x_h' : 'u.x_w';
  const first = inputAt(form, origin(form, axis, axis === 'row' ? 'phase_y' : 'phase_x'), tap);
  return [
    `let first_${tap} = ${first};`,
    `if (first_${tap} >= i32(${size}) || first_${tap} + ${(extent - 1) * inputStep(form) + more} < 0) { continue; }`,
  ];
}

/**
 * The input columns that the pixels of a lane need for the taps of one pass: pixel `p`'s origin and a distance. Where
 * all pixels of a lane lie in one row, taps share them.
 */
function sourcesOf({ form, pixels, unrolled }: Pass, width: number) {
  const inRow = width % pixels === 0;
  const source = (p: number, t: number) => (inRow ? { p: 0, step: p * inputStep(form) + t } : { p, step: t });
  const key = ({ p, step }: { p: number; step: number }): string => `${p}+${step}`;
  const all = range(pixels).flatMap((p) => range(unrolled).map((t) => source(p, t)));
  const list = [...new Map(all.map((one) => [key(one), one])).values()];
  const index = new Map(list.map((one, s) => [key(one), s]));
  return {
    list,
    places: [...new Set(list.map(({ p }) => p))],
    of: (p: number, t: number): number => index.get(key(source(p, t))) as number,
  };
}

/** How many weight vectors a lane loads for a pass. */
function weightVectors({ form, groups, unrolled }: Pass): number {
  return Math.ceil((4 * groups * unrolled) / form.subgroupSize);
}

/**
 * `weight_<v>`: where in the weights of a tap and group of input channels the lane finds vector v. Of a convolution
 * there are four per group and tap, one for each output channel, holding input channels; of a gradient four per group,
 * one for each channel of `x`, holding channels of `y`.
 */
function weightOffsets(pass: Pass): string[] {
  const { form, groups, unrolled } = pass;
  const { x, y, transposed, subgroupSize: lanes } = form;
  const [inputs, outputs] = [groupsOf(x.channels) * 4, groupsOf(y.channels) * 4];
  return range(weightVectors(pass)).flatMap((v) => [
    `let unit_${v} = min(lane + ${v * lanes}u, ${4 * groups * unrolled - 1}u);`,
    transposed
      ? `let weight_${v} = min(split * ${groups}u + unit_${v} / 4u, ${outputs / 4 - 1}u) * ${inputs}u + unit_${v} % 4u;`
      : `let weight_${v} = unit_${v} / ${4 * groups}u * ${(inputs / 4) * outputs}u + min(split * ${4 * groups}u + unit_${v} % ${4 * groups}u, ${outputs - 1}u);`,
  ]);
}

/** Loads the weights of a pass and adds the products of the lane's pixels. */
function products(pass: Pass, source: (p: number, t: number) => number): string[] {
  const { form, groups, pixels, unrolled } = pass;
  const { x, y, weight, transposed, subgroupSize: lanes } = form;
  const [inputGroups, outputGroups] = [groupsOf(x.channels), groupsOf(y.channels)];
  // Channels that are not padding in every group.
  const [inputs, outputs] = [Math.min(x.channels, 4), Math.min(y.channels, 4)];
  const first = transposed
    ? `tap * ${outputGroups * inputGroups * 4}u + i * 4u`
    : `(tap * ${inputGroups}u + i) * ${outputGroups * 4}u`;
  const spread = (t: number, g: number, c: number, k: number): string => {
    const [unit, component] = transposed ? [4 * g + k, c] : [(t * groups + g) * 4 + c, k];
    return `subgroupBroadcast(w_${Math.floor(unit / lanes)}[${component}], ${unit % lanes}u)`;
  };
  return [
    `let first = ${first};`,
    ...range(weightVectors(pass)).map((v) => `let w_${v} = ${load(weight, 4, `first + weight_${v}`)};`),
    ...range(unrolled).flatMap((t) =>
      range(groups).flatMap((g) =>
        range(outputs).flatMap((c) => [
          '{',
          ...range(inputs).map((k) => `let b_${k} = ${spread(t, g, c, k)};`),
          ...range(pixels).map((p) => {
            const terms = range(inputs).map((k) => `v_${source(p, t)}[${k}] * b_${k}`);
            return `sum_${p}_${g}_${c} += ${terms.join(' + ')};`;
          }),
          '}',
        ]),
      ),
    ),
  ];
}
