// The gradient of conv weights for software Vulkan: a matrix product over pixels, in registers. One factor, `plain`, lies
// in the lanes, four channels in each; of the other, `window`, each lane loads four channels under one tap, and
// `subgroupBroadcast` spreads them. Loads are of vec4 and unrolled: on lavapipe a vec4 costs some 50 multiply-adds, four
// scalars twice that, and in a loop, into an array, each costs twice as much again.
//
// As a rule `plain` is dy and `window` x. Where dy has too few channels to fill the lanes they change places: a pixel of
// x then meets the outputs that saw it.

import type { WgradSpec } from './conv2d_backward.js';
import type { KernelCall, View } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, writes } from './text.js';

/** Of one lane: more of them save loads, but their text takes longer to compile. */
const SUMS = 256;
/** Pixels that one pass of the inner loop adds up, because each pass writes all sums back under a mask. */
const RUN = 2;

export function wgradSubgroup(spec: WgradSpec & { subgroupSize: number }): KernelCall {
  const { x, dy, partial, parts, kernel, stride, pad, subgroupSize: lanes } = spec;
  const swapped = stride === 1 && groupsOf(dy.channels) < Math.min(lanes, groupsOf(x.channels));
  const [plain, window] = swapped ? [x, dy] : [dy, x];
  const [plainGroups, windowGroups] = [groupsOf(plain.channels), groupsOf(window.channels)];
  const columns = kernel[0] * kernel[1] * windowGroups;
  // Vectors of each factor that a lane loads.
  const vectors = Math.max(1, SUMS / (16 * lanes));
  const plains = Math.min(vectors, Math.ceil(plainGroups / lanes));
  const windows = Math.min(Math.floor(vectors / plains), Math.ceil(columns / lanes));
  const plainSplits = Math.ceil(plainGroups / (lanes * plains));
  const windowSplits = Math.ceil(columns / (lanes * windows));
  const position = (at: string, tap: string): string =>
    swapped ? `${at} + ${pad}u - ${tap}` : `(${at}) * ${stride}u + ${tap} - ${pad}u`;
  const sums = sumNames(windows * lanes, plains, Math.min(window.channels, 4));
  const size = kernel[0] * kernel[1] * groupsOf(x.channels) * groupsOf(dy.channels) * 16;
  const outputs = groupsOf(dy.channels) * 4;
  const element = swapped
    ? `((column / ${windowGroups}u * ${plainGroups}u + group) * ${outputs}u + column % ${windowGroups}u * 4u + k) * 4u + c`
    : `(column * ${outputs}u + group * 4u + c) * 4u + k`;
  const firstPlain = `plain_split * ${plains * lanes}u`;
  const firstColumn = `window_split * ${windows * lanes}u`;
  return assemble({
    name: `wgrad${kernel.join('x')}_${x.channels}_${dy.channels}_subgroup`,
    uniforms: {
      plain_n: plain.dims[0],
      plain_h: plain.dims[1],
      plain_w: plain.dims[2],
      window_h: window.dims[1],
      window_w: window.dims[2],
      sums: sums.flat(3).length,
    },
    uses: [reads(x), reads(dy), writes(partial, 1)],
    width: 4,
    subgroupSize: lanes,
    body: [
      ...loadFunction('plain', plain),
      ...loadFunction('window', window),
      `@compute @workgroup_size(${lanes})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {',
      `let plain_split = id.x % ${plainSplits}u; let window_split = id.x / ${plainSplits}u;`,
      ...range(plains).map(
        (p) => `let group_${p} = min(${firstPlain} + ${p * lanes}u + lane, ${plainGroups - 1}u);`,
      ),
      ...range(windows).flatMap((w) => [
        `let column_${w} = min(${firstColumn} + ${w * lanes}u + lane, ${columns - 1}u);`,
        `let part_${w} = column_${w} % ${windowGroups}u; let tap_${w} = column_${w} / ${windowGroups}u;`,
        `let ky_${w} = tap_${w} / ${kernel[1]}u; let kx_${w} = tap_${w} % ${kernel[1]}u;`,
      ]),
      ...sums.flat(3).flatMap((sum) => (sum === ZERO ? [] : [`var ${sum} = 0f;`])),
      ...rowsOfPart(swapped, parts, pad, kernel[0]),
      'for (var row = first; row < end; row++) {',
      'let y = row % u.plain_h; let image = row / u.plain_h;',
      ...range(windows).flatMap((w) => [
        // Positions before the image wrap to huge numbers.
        `let y_${w} = ${position('y', `ky_${w}`)}; let row_${w} = image * u.window_h + y_${w};`,
        `let in_${w} = y_${w} < u.window_h${swapped ? ` && row_${w} >= begin && row_${w} < stop` : ''};`,
        `let start_${w} = row_${w} * u.window_w;`,
      ]),
      `for (var x = 0u; x < u.plain_w; x += ${RUN}u) {`,
      ...range(RUN).flatMap((q) => [
        ...range(plains).map(
          (p) =>
            `let plain_${q}_${p} = plain_at(row * u.plain_w + x + ${q}u, group_${p}, x + ${q}u < u.plain_w);`,
        ),
        ...range(windows).flatMap((w) => [
          `let x_${q}_${w} = ${position(`x + ${q}u`, `kx_${w}`)};`,
          `let window_${q}_${w} = window_at(start_${w} + x_${q}_${w}, part_${w}, in_${w} && x_${q}_${w} < u.window_w);`,
        ]),
      ]),
      ...products(sums, lanes),
      '} }',
      // Stored in a loop: dynamic indices cost less than the text of a store for each sum.
      `var sums = array<f32, ${sums.flat(3).length}>(${sums.flat(3).join(', ')});`,
      'for (var t = 0u; t < u.sums; t++) {',
      `let c = t % 4u; let k = t / 4u % 4u;`,
      `let group = ${firstPlain} + t / 16u % ${plains}u * ${lanes}u + lane;`,
      `let column = ${firstColumn} + t / ${16 * plains}u;`,
      `if (group < ${plainGroups}u && column < ${columns}u) { s${partial.slot}[id.y * ${size}u + ${element}] = sums[t]; }`,
      '}',
      '}',
    ],
    workgroups: [[{ dim: plainSplits * windowSplits, per: 1 }], [{ dim: parts, per: 1 }], []],
  });
}

/**
 * Declares the rows of `plain`, from `first` to before `end`, that the part's rows of dy meet: those themselves, or with
 * the factors swapped the rows of x that the rows of dy from `begin` to before `stop` saw.
 */
function rowsOfPart(swapped: boolean, parts: number, pad: number, height: number): string[] {
  const [begin, stop] = swapped ? ['begin', 'stop'] : ['first', 'end'];
  const h = `u.${swapped ? 'window' : 'plain'}_h`;
  return [
    `let rows = u.plain_n * ${h}; let share = (rows + ${parts - 1}u) / ${parts}u;`,
    `let ${begin} = min(id.y * share, rows); let ${stop} = min(${begin} + share, rows);`,
    ...(swapped
      ? [
          `let first = begin / ${h} * u.plain_h + max(begin % ${h}, ${pad}u) - ${pad}u;`,
          `let last = stop - 1u; let below = last % ${h} + ${height}u;`,
          `let end = select(0u, last / ${h} * u.plain_h + min(max(below, ${pad}u) - ${pad}u, u.plain_h), begin < stop);`,
        ]
      : []),
  ];
}

const ZERO = '0f';

/** `[column][plain vector][channel k of the column][channel c of the lane]`; zero where k is padding in all columns. */
function sumNames(columns: number, plains: number, used: number): string[][][][] {
  return range(columns).map((j) =>
    range(plains).map((p) =>
      range(4).map((k) => range(4).map((c) => (k < used ? `sum_${j}_${p}_${k}_${c}` : ZERO))),
    ),
  );
}

/** Adds the products of the run's pixels to each sum. */
function products(sums: string[][][][], lanes: number): string[] {
  return sums.flatMap((column, j) =>
    range(4).flatMap((k) => {
      const w = Math.floor(j / lanes);
      if (column[0]![k]![0] === ZERO) return [];
      return [
        '{',
        ...range(RUN).map((q) => `let b_${q} = subgroupBroadcast(window_${q}_${w}[${k}], ${j % lanes}u);`),
        ...column.flatMap((plain, p) =>
          plain[k]!.map(
            (sum, c) =>
              `${sum} += ${range(RUN)
                .map((q) => `b_${q} * plain_${q}_${p}[${c}]`)
                .join(' + ')};`,
          ),
        ),
        '}',
      ];
    }),
  );
}

/** `<name>_at(pixel, group, inside)`: zero outside, where nothing is loaded from beyond the buffer either. */
function loadFunction(name: string, view: View): string[] {
  const value = load(view, 4, `select(0u, ${elementIndex(view, 4, 'pixel', 'group')}, inside)`);
  return [
    `fn ${name}_at(pixel: u32, group: u32, inside: bool) -> vec4<f32> {`,
    `return select(vec4<f32>(), ${value}, inside);`,
    '}',
  ];
}
