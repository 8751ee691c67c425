// The frame of the convolutions with workgroup memory. A workgroup makes a tile of pixels by output channels. Block by
// block of input channels it stages the tile's inputs and the weights, then multiplies them, which is the variant's:
//
// - Each invocation loads its share of the vectors in the order of global memory, so that loads are coalesced over
//   channels and columns, and all of them before it stores the first. Where inputs come from is worked out once.
//   Workgroups that share a core hide the latency: hence little workgroup memory for each, and no second buffer.
// - Edges are zeros in the patch and guards of the stores: the inner loops have no branch.
// - A gradient is the mirror image: there patch and pixels are counted from the far edge, so that taps go forward. A tap
//   that its phase does not have is skipped, by all invocations of a workgroup alike.

import { type ConvForm, convName, origin, placePhase } from './conv2d_frame.js';
import type { Staging } from './conv2d_staging.js';
import { putFunction } from './epilogue.js';
import type { KernelCall } from './kernel.js';
import {
  assemble,
  elementIndex,
  groupsOf,
  type KernelText,
  load,
  range,
  reads,
  stepUses,
  writes,
} from './text.js';

export interface StagedForm {
  readonly form: ConvForm;
  readonly staging: Staging;
}

/** A variant. */
export interface Multiplication extends Pick<KernelText, 'subgroupSize' | 'matrices'> {
  readonly variant: string;
  /** Of the arrays `inputs` and `weights`. */
  readonly vector: 'vec4<f32>' | 'vec4<f16>';
  readonly declarations: readonly string[];
  /** More parameters of the entry point. */
  readonly builtins: readonly string[];
  /** Declares the sums. */
  readonly begin: readonly string[];
  /** Adds the products of the rows of taps from `first` to before `last`, and the input channels that are staged. */
  readonly multiply: readonly string[];
  /** Puts the sums, of `rows` and `columns` that the phase has. */
  readonly end: readonly string[];
  /** See `stageWeights`. */
  place(tap: Tap, vector: string, group: string): string;
}

/** In the staged rows of the kernel; as expressions. */
interface Tap {
  readonly row: string;
  readonly column: string;
}

export function stagedConv({ form, staging }: StagedForm, variant: Multiplication): KernelCall {
  const { x, y, weight, kernel, phases, epilogue } = form;
  const { width, height, groups, taps, depth } = staging;
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
  const builtins = [
    '@builtin(workgroup_id) id: vec3<u32>',
    '@builtin(local_invocation_index) lane: u32',
    ...variant.builtins,
  ];
  return assemble({
    name: convName(form, variant.variant),
    uniforms: { ...sizes, ...trips },
    uses: [reads(x), writes(y), reads(weight), ...stepUses(epilogue)],
    width: 4,
    ...(variant.subgroupSize !== undefined && { subgroupSize: variant.subgroupSize }),
    ...(variant.matrices && { matrices: variant.matrices }),
    body: [
      ...putFunction(y, epilogue, 4),
      ...variant.declarations,
      'const NOWHERE = 0xffffffffu;',
      `var<workgroup> inputs: array<${variant.vector}, ${staging.patchSize}>;`,
      `var<workgroup> weights: array<${variant.vector}, ${staging.weightSize}>;`,
      `@compute @workgroup_size(${staging.invocations})`,
      `fn main(${builtins.join(', ')}) {`,
      `let split = id.z % ${splits}u; let phase = id.z / ${splits}u % ${phases}u; let image = id.z / ${splits * phases}u;`,
      ...placePhase(form),
      `let column = id.x * ${width}u; let row = id.y * ${height}u; let group = split * ${groups}u;`,
      ...tapsOfPhase(form),
      ...findInputs(form, staging),
      ...variant.begin,
      'for (var block = 0u; block < u.blocks; block++) {',
      `for (var first = 0u; first < taps_y; first += ${staging.rows}u) {`,
      `let last = min(first + ${staging.rows}u, taps_y);`,
      'workgroupBarrier();',
      'if (first == 0u) {',
      ...stageInputs(form, staging, variant),
      '}',
      ...stageWeights(form, staging, variant),
      'workgroupBarrier();',
      ...variant.multiply,
      '} }',
      // Of this phase, which has one fewer where the stride does not divide the size.
      `let columns = (u.y_w + ${side - 1}u - phase_x) / ${side}u; let rows = (u.y_h + ${side - 1}u - phase_y) / ${side}u;`,
      ...variant.end,
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

/** The opening of the block that adds the products of tap `tap` of a row. */
export function ifTap({ kernel, stride, transposed }: ConvForm, tap: string): string {
  return transposed && kernel[1] % stride > 0 ? `if (${tap} < taps_x) {` : '{';
}

/** Puts a sum where the image has a pixel: `row`, `column` and `group` count from the tile's, `value` is a vector. */
export function putSum({ form, staging }: StagedForm, at: PlacedSum): string[] {
  const { y, phases, transposed } = form;
  const side = Math.sqrt(phases);
  const position = (first: string, own: string, extent: number): string =>
    transposed ? `${first} + ${extent - 1}u - (${own})` : `${first} + ${own}`;
  return [
    '{',
    `let r = ${position('row', at.row, staging.height)}; let c = ${position('column', at.column, staging.width)};`,
    `let g = group + ${at.group};`,
    `if (r < rows && c < columns && g < ${groupsOf(y.channels)}u) {`,
    `put((image * u.y_h + r * ${side}u + phase_y) * u.y_w + c * ${side}u + phase_x, g, phase, ${at.value});`,
    '} }',
  ];
}

interface PlacedSum {
  readonly row: string;
  readonly column: string;
  readonly group: string;
  readonly value: string;
}

/** Declares how many rows and columns of taps the phase has and, of a gradient, which are the first. */
function tapsOfPhase({ stride, pad, transposed }: ConvForm): string[] {
  if (!transposed) return ['let taps_y = u.kernel_h;'];
  const axis = (name: 'y' | 'x', size: string): string =>
    `let first_${name} = (phase_${name} + ${pad}u) % ${stride}u; ` +
    `let taps_${name} = (u.${size} + ${stride - 1}u - first_${name}) / ${stride}u;`;
  return [axis('y', 'kernel_h'), axis('x', 'kernel_w')];
}

/** Statements for each of `count` vectors that the invocations share out: `e` is a vector's number. */
function shared(
  count: number,
  { invocations }: Staging,
  statements: (e: string, s: number) => readonly string[],
): string[] {
  return range(Math.ceil(count / invocations)).flatMap((s) => statements(`(lane + ${s * invocations}u)`, s));
}

/** Declares where the invocation's share of the patch lies in the first block of channels; `NOWHERE` are zeros. */
function findInputs(form: ConvForm, staging: Staging): string[] {
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

function stageInputs({ x }: ConvForm, staging: Staging, { vector }: Multiplication): string[] {
  const { depth, patchSize } = staging;
  return [
    ...shared(patchSize, staging, (_, s) => [
      `let in_${s} = from_${s} != NOWHERE;`,
      `let v_${s} = select(Value(), ${load(x, 4, `select(0u, from_${s} + block * ${depth}u, in_${s})`)}, in_${s});`,
    ]),
    ...shared(patchSize, staging, (e, s) => [
      `if (${e} < ${patchSize}u) { inputs[${e}] = ${vector}(v_${s}); }`,
    ]),
  ];
}

/**
 * `place` says where: of a convolution, vector o of a tap and group of input channels holds 4 of those for output channel
 * o; of a gradient, vector i of a tap and group of output channels holds 4 of those for input channel i of the block.
 */
function stageWeights(form: ConvForm, staging: Staging, { vector, place }: Multiplication): string[] {
  const { x, y, weight, kernel, stride, transposed } = form;
  const { depth, rows, groups, taps } = staging;
  const [inputGroups, outputGroups] = [groupsOf(x.channels), groupsOf(y.channels)];
  const [vectors, vectorGroups] = transposed ? [4 * depth, groups] : [4 * groups, depth];
  const count = rows * taps[1] * vectorGroups * vectors;
  const partsOf = (e: string) => ({
    tap: {
      row: `${e} / ${taps[1] * vectorGroups * vectors}u`,
      column: `${e} / ${vectorGroups * vectors}u % ${taps[1]}u`,
    },
    vector: `${e} % ${vectors}u`,
    group: `${e} / ${vectors}u % ${vectorGroups}u`,
  });
  // What is beyond the kernel or the output channels is read from their ends, and not used.
  const from = (e: string): string => {
    const at = partsOf(e);
    const tapOf = (axis: 'y' | 'x', own: string): string =>
      transposed ? `first_${axis} + (${own}) * ${stride}u` : own;
    const ky = `min(${tapOf('y', `first + ${at.tap.row}`)}, ${kernel[0] - 1}u)`;
    const kx = `min(${tapOf('x', at.tap.column)}, ${kernel[1] - 1}u)`;
    const tap = `${ky} * ${kernel[1]}u + ${kx}`;
    if (transposed) {
      const o = `min(group + ${at.group}, ${outputGroups - 1}u)`;
      return `((${tap}) * ${outputGroups}u + ${o}) * ${4 * inputGroups}u + block * ${4 * depth}u + ${at.vector}`;
    }
    const o = `min(4u * group + ${at.vector}, ${4 * outputGroups - 1}u)`;
    const i = `block * ${depth}u + ${at.group}`;
    return `((phase * ${kernel[0] * kernel[1]}u + ${tap}) * ${inputGroups}u + ${i}) * ${4 * outputGroups}u + ${o}`;
  };
  return [
    ...shared(count, staging, (e, s) => [`let w_${s} = ${load(weight, 4, from(e))};`]),
    ...shared(count, staging, (e, s) => {
      const at = partsOf(e);
      return [
        `if (${e} < ${count}u) { weights[${place(at.tap, at.vector, at.group)}] = ${vector}(w_${s}); }`,
      ];
    }),
  ];
}
