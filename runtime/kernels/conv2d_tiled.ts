// The convolution for GPUs with workgroup memory: an implicit matrix product. A workgroup makes a tile of pixels by
// output channels. Block by block of input channels it stages the tile's inputs and the weights, each read once from
// global memory, then every invocation multiplies its own pixels by its own output groups in registers.
//
// Why so, from what is known of GPUs; no part of it has been timed on one yet:
// - An invocation of 8 x 1 pixels by 2 groups loads 10 vectors of inputs and 24 of weights from workgroup memory for
//   the 768 multiply-adds of three taps, 45 for a pair of loads, where units that do 32 lanes' multiply-adds in a cycle
//   want 8 to 16. 64 sums, 40 numbers of inputs and 16 of weights stay under 128 registers, at which NVIDIA and AMD
//   hold some 16 warps; Apple and Intel prefer half as many sums, so there are such tiles.
// - Lanes run over output groups first: weights are then consecutive vec4, inputs are broadcast, stores are coalesced.
//   Next over rows, because the pitch of the patch is odd: lanes of different rows meet different banks. An
//   invocation's rows lie a workgroup's lanes apart for the same reason; its columns are neighbours and share inputs.
// - Global loads are of vec4 and coalesced over channels and columns; where they come from is worked out once. They are
//   issued together before the first is stored. Workgroups that share a core hide their latency: hence little workgroup
//   memory for each, and no second buffer.
// - Edges are zeros in the patch and guards of the stores, so the inner loops have no branch, and no division.
// - The staged numbers are f32 whatever is stored: they are converted once instead of at every use.
//
// A gradient is the mirror image: there patch and pixels are counted from the far edge, so that taps go forward. A tap
// that its phase does not have is skipped, by all invocations of a workgroup alike.

import { internal } from '../../diagnostics.js';
import type { TiledTile } from './conv2d.js';
import { type ConvForm, convName, MULTIPLY_ADD, origin, placePhase } from './conv2d_frame.js';
import { type Staging, stagingOf } from './conv2d_staging.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, range, reads, stepUses, writes } from './text.js';

/** What a text is generated from. */
interface Tiled {
  readonly form: ConvForm;
  readonly tile: TiledTile;
  readonly staging: Staging;
}

export function conv2dTiled(form: ConvForm, tile: TiledTile): KernelCall {
  const { x, y, weight, kernel, phases, epilogue } = form;
  const staging =
    stagingOf({ ...form, channels: x.channels }, tile) ??
    internal(`a tile of ${JSON.stringify(tile)} does not fit workgroup memory`);
  const { width, height, groups, taps, depth, rows, step, pitch } = staging;
  const tiled: Tiled = { form, tile, staging };
  const splits = Math.ceil(groupsOf(y.channels) / groups);
  const side = Math.sqrt(phases);
  const sizes = { x_h: x.dims[1], x_w: x.dims[2], y_h: y.dims[1], y_w: y.dims[2] };
  // As constants they would tempt drivers to unroll.
  const trips = {
    kernel_h: kernel[0],
    kernel_w: kernel[1],
    taps_w: taps[1],
    blocks: groupsOf(x.channels) / depth,
  };
  return assemble({
    name: convName(form, 'tiled'),
    uniforms: { ...sizes, ...trips },
    uses: [reads(x), writes(y), reads(weight), ...stepUses(epilogue)],
    width: 4,
    body: [
      ...putFunction(y, epilogue, 4),
      ...MULTIPLY_ADD,
      'const NOWHERE = 0xffffffffu;',
      `var<workgroup> inputs: array<Value, ${staging.patchSize}>;`,
      `var<workgroup> weights: array<Value, ${staging.weightSize}>;`,
      `@compute @workgroup_size(${staging.invocations})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
      `let split = id.z % ${splits}u; let phase = id.z / ${splits}u % ${phases}u; let image = id.z / ${splits * phases}u;`,
      ...placePhase(form),
      `let column = id.x * ${width}u; let row = id.y * ${height}u; let group = split * ${groups}u;`,
      ...lanes(tile),
      ...tapsOfPhase(form),
      ...findInputs(tiled),
      ...sumsOf(tile).map(({ sum }) => `var ${sum} = Value();`),
      `let own = (lane_y * ${step * pitch}u + lane_x * ${step}u) * ${depth}u;`,
      'for (var block = 0u; block < u.blocks; block++) {',
      `for (var first = 0u; first < taps_y; first += ${rows}u) {`,
      'workgroupBarrier();',
      'if (first == 0u) {',
      ...stageInputs(tiled),
      '}',
      ...stageWeights(tiled),
      'workgroupBarrier();',
      // A slice is a row of taps of one group of input channels.
      `let slices = min(${rows}u, taps_y - first) * ${depth}u;`,
      'var w_at = lane_g;',
      'for (var slice = 0u; slice < slices; slice++) {',
      `let x_at = own + (first + slice / ${depth}u) * ${pitch * depth}u + slice % ${depth}u;`,
      `for (var tap = 0u; tap < u.taps_w; tap += ${staging.unrolled}u) {`,
      ...multiply(tiled),
      '} } } }',
      // Of this phase, which has one fewer where the stride does not divide the size.
      `let columns = (u.y_w + ${side - 1}u - phase_x) / ${side}u; let rows = (u.y_h + ${side - 1}u - phase_y) / ${side}u;`,
      ...storeSums(tiled),
      '}',
    ],
    workgroups: [
      [{ dim: y.dims[2], per: side * width }],
      [{ dim: y.dims[1], per: side * height }],
      [
        { dim: y.dims[0], per: 1 },
        { dim: splits * phases, per: 1 },
      ],
    ],
  });
}

/** Declares the invocation's first group of output channels, row and column in the tile. */
function lanes({ lanes: [across, down, groups], width }: TiledTile): string[] {
  return [
    `let lane_g = lane % ${groups}u; let lane_y = lane / ${groups}u % ${down}u;`,
    `let lane_x = lane / ${groups * down}u % ${across}u * ${width}u;`,
  ];
}

interface Sum {
  readonly sum: string;
  /** The pixel of the invocation and the group, counted from its own. */
  readonly r: number;
  readonly c: number;
  readonly g: number;
}

function sumsOf({ width, height, groups }: TiledTile): Sum[] {
  return range(height).flatMap((r) =>
    range(width).flatMap((c) => range(groups).map((g) => ({ sum: `sum_${r}_${c}_${g}`, r, c, g }))),
  );
}

/** Declares how many rows and columns of taps the phase has and, of a gradient, which are the first. */
function tapsOfPhase({ stride, pad, transposed }: ConvForm): string[] {
  if (!transposed) return ['let taps_y = u.kernel_h;'];
  const axis = (name: 'y' | 'x', size: string): string =>
    `let first_${name} = (phase_${name} + ${pad}u) % ${stride}u; ` +
    `let taps_${name} = (u.${size} + ${stride - 1}u - first_${name}) / ${stride}u;`;
  return [axis('y', 'kernel_h'), axis('x', 'kernel_w')];
}

/** Statements for each of `count` elements that the invocations share out: `e` is an element's number. */
function shared(
  count: number,
  { invocations }: Staging,
  statements: (e: string, s: number) => readonly string[],
): string[] {
  return range(Math.ceil(count / invocations)).flatMap((s) => statements(`(lane + ${s * invocations}u)`, s));
}

/** Declares where the invocation's share of the patch lies in the first block of channels; `NOWHERE` are zeros. */
function findInputs({ form, staging }: Tiled): string[] {
  const { x, transposed } = form;
  const { depth, pitch, patchSize, width, height } = staging;
  const input = (from: string, at: string, extent: number): string =>
    transposed ? `u32(${from} + ${extent - 1} - i32(${at}))` : `u32(${from} + i32(${at}))`;
  return [
    `let top = ${origin(form, 'row', 'phase_y')}; let left = ${origin(form, 'column', 'phase_x')};`,
    ...shared(patchSize, staging, (e, s) => [
      // Positions before the image wrap to huge numbers.
      `let y_${s} = ${input('top', `${e} / ${depth * pitch}u`, height)}; let x_${s} = ${input('left', `${e} / ${depth}u % ${pitch}u`, width)};`,
      `let index_${s} = ${elementIndex(x, 4, `(image * u.x_h + y_${s}) * u.x_w + x_${s}`, `${e} % ${depth}u`)};`,
      `let from_${s} = select(NOWHERE, index_${s}, y_${s} < u.x_h && x_${s} < u.x_w);`,
    ]),
  ];
}

function stageInputs({ form, staging }: Tiled): string[] {
  const { depth, patchSize } = staging;
  return [
    ...shared(patchSize, staging, (_, s) => [
      `let in_${s} = from_${s} != NOWHERE;`,
      `let v_${s} = select(Value(), ${load(form.x, 4, `select(0u, from_${s} + block * ${depth}u, in_${s})`)}, in_${s});`,
    ]),
    ...shared(patchSize, staging, (e, s) => [`if (${e} < ${patchSize}u) { inputs[${e}] = v_${s}; }`]),
  ];
}

/**
 * Four vectors of a group and tap: of a convolution one for each output channel, holding input channels; of a gradient
 * one for each channel of `x`, holding channels of `y`. They are taken in the order of memory.
 */
function stageWeights({ form, staging }: Tiled): string[] {
  const { x, y, weight, kernel, stride, transposed } = form;
  const { depth, rows, groups, taps, weightPitch } = staging;
  const [inputGroups, outputGroups] = [groupsOf(x.channels), groupsOf(y.channels)];
  const elements = rows * depth * taps[1] * groups * 4;
  const firstTap = transposed ? '' : `phase * ${kernel[0] * kernel[1]}u + `;
  const from = (e: string): string => {
    if (transposed) {
      const tap = `${e} / ${4 * depth * groups}u`;
      const ky = `min(first_y + (first + ${tap} / ${taps[1]}u) * ${stride}u, ${kernel[0] - 1}u)`;
      const kx = `min(first_x + ${tap} % ${taps[1]}u * ${stride}u, ${kernel[1] - 1}u)`;
      const o = `min(group + ${e} / ${4 * depth}u % ${groups}u, ${outputGroups - 1}u)`;
      return `((${ky} * ${kernel[1]}u + ${kx}) * ${outputGroups}u + ${o}) * ${4 * inputGroups}u + block * ${4 * depth}u + ${e} % ${4 * depth}u`;
    }
    const o = `min(4u * group + ${e} % ${4 * groups}u, ${4 * outputGroups - 1}u)`;
    const i = `block * ${depth}u + ${e} / ${4 * groups}u % ${depth}u`;
    const tap = `${e} / ${4 * groups * depth}u`;
    return `((${firstTap}min(first * ${taps[1]}u + ${tap}, ${kernel[0] * kernel[1] - 1}u)) * ${inputGroups}u + ${i}) * ${4 * outputGroups}u + ${o}`;
  };
  const to = (e: string): string => {
    const tap = `${e} / ${4 * groups * depth}u`;
    const g = transposed ? `${e} / 4u % ${depth}u` : `${e} / ${4 * groups}u % ${depth}u`;
    const o = transposed ? `${e} / ${4 * depth}u % ${groups}u` : `${e} / 4u % ${groups}u`;
    const slice = `(${tap} / ${taps[1]}u * ${depth}u + ${g}) * ${taps[1]}u + ${tap} % ${taps[1]}u`;
    return `((${slice}) * 4u + ${e} % 4u) * ${weightPitch}u + ${o}`;
  };
  return [
    ...shared(elements, staging, (e, s) => [`let w_${s} = ${load(weight, 4, from(e))};`]),
    ...shared(elements, staging, (e, s) => [`if (${e} < ${elements}u) { weights[${to(e)}] = w_${s}; }`]),
  ];
}

/** The products of the unrolled taps from `tap`, of one group of input channels. */
function multiply({ form, tile, staging }: Tiled): string[] {
  const { width, height, lanes } = tile;
  const { step, unrolled, depth, pitch, weightPitch } = staging;
  const columns = [...new Set(range(width).flatMap((c) => range(unrolled).map((t) => c * step + t)))];
  const rowStep = lanes[1] * step * pitch;
  const matrix = (g: number): string => {
    const vectors = range(4).map((k) => `weights[w_at + ${k * weightPitch + g * lanes[2]}u]`);
    return form.transposed ? `mat4x4<f32>(${vectors})` : `transpose(mat4x4<f32>(${vectors}))`;
  };
  return [
    ...range(height).flatMap((r) =>
      columns.map((c) => `let x_${r}_${c} = inputs[x_at + (tap + ${r * rowStep + c}u) * ${depth}u];`),
    ),
    ...range(unrolled).flatMap((t) => [
      ...(form.transposed ? [`if (tap + ${t}u < taps_x) {`] : ['{']),
      ...range(tile.groups).map((g) => `let m_${g} = ${matrix(g)};`),
      ...sumsOf(tile).map(({ sum, r, c, g }) => `${sum} = mac(${sum}, x_${r}_${c * step + t}, m_${g});`),
      '}',
      `w_at += ${4 * weightPitch}u;`,
    ]),
  ];
}

function storeSums({ form, tile, staging }: Tiled): string[] {
  const { y, phases, transposed } = form;
  const side = Math.sqrt(phases);
  const at = (from: string, own: string, extent: number): string =>
    transposed ? `${from} + ${extent - 1}u - (${own})` : `${from} + ${own}`;
  return sumsOf(tile).flatMap(({ sum, r, c, g }) => [
    '{',
    `let r = ${at('row', `lane_y + ${r * tile.lanes[1]}u`, staging.height)}; let c = ${at('column', `lane_x + ${c}u`, staging.width)};`,
    `let g = group + lane_g + ${g * tile.lanes[2]}u;`,
    `if (r < rows && c < columns && g < ${groupsOf(y.channels)}u) {`,
    `put((image * u.y_h + r * ${side}u + phase_y) * u.y_w + c * ${side}u + phase_x, g, phase, ${sum});`,
    '} }',
  ]);
}
