// The gradient of conv weights for software Vulkan: a matrix product over pixels, in registers. One factor, `window`, lies
// in the lanes: each holds vectors of four channels under one tap. Of the other, `plain`, each lane loads one vector,
// and `subgroupBroadcast` spreads its numbers. Loads are of vec4 and unrolled: on lavapipe a vec4 costs some 50
// multiply-adds, four scalars twice that, and in a loop, into an array, each costs twice as much again.
//
// As a rule `plain` is dy and `window` x. Where dy has few channels, which would make few products for each vector of x,
// they change places: a pixel of x then meets the outputs that saw it.

import type { WgradSpec } from './conv2d_backward.js';
import type { KernelCall, View } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, writes } from './text.js';

/** Pairs of vectors whose products a lane sums, at 16 sums each: more save loads, but take longer to compile. */
const PAIRS = 16;
const MOST_WINDOWS = 8;
const FEW_GROUPS = 4;
/** Pixels that one pass of the inner loop adds up, because each pass writes all sums back under a mask. */
const RUN = 2;

export function wgradSubgroup(spec: WgradSpec & { subgroupSize: number }): KernelCall {
  const { x, dy, partial, parts, kernel, stride, pad, subgroupSize: lanes } = spec;
  const swapped = stride === 1 && groupsOf(dy.channels) < Math.min(FEW_GROUPS, groupsOf(x.channels));
  const [plain, window] = swapped ? [x, dy] : [dy, x];
  const [plainGroups, windowGroups] = [groupsOf(plain.channels), groupsOf(window.channels)];
  const columns = kernel[0] * kernel[1] * windowGroups;
  const [groups, plainSplits] = shares(plainGroups, lanes);
  const most = Math.max(1, Math.min(MOST_WINDOWS, Math.floor(PAIRS / groups)));
  const [windows, windowSplits] = shares(Math.ceil(columns / lanes), most);
  const position = (at: string, tap: string): string =>
    swapped ? `${at} + ${pad}u - ${tap}` : `(${at}) * ${stride}u + ${tap} - ${pad}u`;
  const sums = sumNames(windows, groups, Math.min(window.channels, 4), Math.min(plain.channels, 4));
  const outputs = groupsOf(dy.channels) * 4;
  const size = kernel[0] * kernel[1] * groupsOf(x.channels) * outputs * 4;
  const element = swapped
    ? `((column / ${windowGroups}u * ${plainGroups}u + group) * ${outputs}u + column % ${windowGroups}u * 4u + k) * 4u + c`
    : `(column * ${outputs}u + group * 4u + c) * 4u + k`;
  const count = 16 * windows * groups;
  return assemble({
    name: `wgrad${kernel.join('x')}_${x.channels}_${dy.channels}_subgroup`,
    uniforms: {
      plain_n: plain.dims[0],
      plain_h: plain.dims[1],
      plain_w: plain.dims[2],
      window_h: window.dims[1],
      window_w: window.dims[2],
      sums: count,
    },
    uses: [reads(x), reads(dy), writes(partial, 1)],
    width: 4,
    subgroupSize: lanes,
    body: [
      ...loadFunction('plain', plain),
      ...loadFunction('window', window),
      `@compute @workgroup_size(${lanes})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {',
      `let first_group = id.x % ${plainSplits}u * ${groups}u;`,
      `let first_column = id.x / ${plainSplits}u * ${windows * lanes}u + lane;`,
      `let plain_group = min(first_group + lane, ${plainGroups - 1}u);`,
      ...range(windows).flatMap((w) => [
        `let column_${w} = min(first_column + ${w * lanes}u, ${columns - 1}u);`,
        `let group_${w} = column_${w} % ${windowGroups}u; let tap_${w} = column_${w} / ${windowGroups}u;`,
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
        `let plain_${q} = plain_at(row * u.plain_w + x + ${q}u, plain_group, x + ${q}u < u.plain_w);`,
        ...range(windows).flatMap((w) => [
          `let x_${q}_${w} = ${position(`x + ${q}u`, `kx_${w}`)};`,
          `let window_${q}_${w} = window_at(start_${w} + x_${q}_${w}, group_${w}, in_${w} && x_${q}_${w} < u.window_w);`,
        ]),
      ]),
      ...products(sums),
      '} }',
      // Stored in a loop: dynamic indices cost less than the text of a store for each sum.
      `var sums = array<f32, ${count}>(${sums.flat(3).join(', ')});`,
      'for (var t = 0u; t < u.sums; t++) {',
      'let k = t % 4u; let c = t / 4u % 4u;',
      `let group = first_group + t / ${16 * windows}u; let column = first_column + t / 16u % ${windows}u * ${lanes}u;`,
      `if (group < ${plainGroups}u && column < ${columns}u) { s${partial.slot}[id.y * ${size}u + ${element}] = sums[t]; }`,
      '}',
      '}',
    ],
    workgroups: [[{ dim: plainSplits * windowSplits, per: 1 }], [{ dim: parts, per: 1 }], []],
  });
}

/** Shares `count` out evenly, at most `most` to each: the size of a share, and how many there are. */
function shares(count: number, most: number): [size: number, shares: number] {
  const size = Math.ceil(count / Math.ceil(count / most));
  return [size, Math.ceil(count / size)];
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

/** `[group][window][channel c of the group][channel k of the window]`; zero where all such channels are padding. */
function sumNames(windows: number, groups: number, usedWindow: number, usedPlain: number): string[][][][] {
  return range(groups).map((g) =>
    range(windows).map((w) =>
      range(4).map((c) =>
        range(4).map((k) => (k < usedWindow && c < usedPlain ? `sum_${g}_${w}_${c}_${k}` : ZERO)),
      ),
    ),
  );
}

/** Adds the products of the run's pixels to each sum. */
function products(sums: string[][][][]): string[] {
  return sums.flatMap((windows, g) =>
    range(4).flatMap((c) => {
      const lines = windows.flatMap((window, w) =>
        window[c]!.flatMap((sum, k) =>
          sum === ZERO
            ? []
            : [
                `${sum} += ${range(RUN)
                  .map((q) => `b_${q} * window_${q}_${w}[${k}]`)
                  .join(' + ')};`,
              ],
        ),
      );
      if (lines.length === 0) return [];
      const spread = range(RUN).map((q) => `let b_${q} = subgroupBroadcast(plain_${q}[${c}], ${g}u);`);
      return ['{', ...spread, ...lines, '}'];
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
