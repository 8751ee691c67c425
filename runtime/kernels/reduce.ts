// Sums over images, rows and columns, in two launches whose order is fixed by the shape alone: no atomics, so the same
// data gives the same bits. `sumColumns` leaves one pixel per row, `sumRows` one pixel, or one scalar; `expand`, their
// adjoint, spreads a value back. Intermediate sums should be f32 whatever the storage of the operands.

import type { Dim } from '../dims.js';
import { putFunction, termFunction } from './epilogue.js';
import { gather } from './gather.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';
import { assemble, groupsOf, numbersIn, reads, stepUses, writes } from './text.js';

/** Invocations that sum together. More of them are for GPUs, whose loads take long. */
export type Lanes = 64 | 256;
/** One lane adds up as many sums. */
const FEW = 64;
const RUN = 64;

/** `channel` leaves a value per channel, `none` a scalar. */
export type Keep = 'channel' | 'none';

interface SumSpec {
  readonly x: View;
  readonly y: View;
  /** What becomes of the elements of `x` before they are summed. */
  readonly prologue?: readonly PointwiseStep[];
}

/** Sums the columns of `x`, in runs, because a long sum in f32 loses what it adds; `y` is one column wide. */
export function sumColumns({ x, y, prologue = [] }: SumSpec): KernelCall {
  const lines = [
    'var value = Value();',
    'let start = (image * u.x_h + row) * u.x_w;',
    `for (var first = 0u; first < u.x_w; first += ${RUN}u) {`,
    'var run = Value();',
    `for (var i = first; i < min(first + ${RUN}u, u.x_w); i++) { run += term(start + i, group); }`,
    'value += run;',
    '}',
  ];
  return gather(nameOf('sum_columns', prologue), { x, y }, lines, {
    functions: (numbers) => termFunction(x, prologue, numbers),
    uses: stepUses(prologue),
  });
}

interface SumRowsSpec extends SumSpec {
  readonly keep: Keep;
  /** Of the sum, for a mean: a count. */
  readonly divisor?: number;
  readonly epilogue?: readonly PointwiseStep[];
  readonly lanes?: Lanes;
}

/** Sums the rows of all images, of one column each, to one pixel: each lane its share, then a few lanes the lanes. */
export function sumRows(spec: SumRowsSpec): KernelCall {
  const { x, y, keep, divisor = 1, prologue = [], epilogue = [], lanes = 64 } = spec;
  const groups = groupsOf(x.channels);
  const uniforms: Record<string, Dim> = { x_n: x.dims[0], x_h: x.dims[1], groups, divisor };
  const numbers = numbersIn(uniforms);
  const [first, end] = keep === 'channel' ? ['id.x', 'id.x + 1u'] : ['0u', 'u.groups'];
  const scalar = keep === 'none' ? 'sum = Value(dot(sum, Value(1)), 0, 0, 0);' : '';
  return assemble({
    name: nameOf(`sum_rows_${keep}`, [...prologue, ...epilogue]),
    uniforms,
    uses: [reads(x), writes(y), ...stepUses([...prologue, ...epilogue])],
    width: 4,
    body: [
      ...termFunction(x, prologue, numbers),
      ...putFunction(y, epilogue, 4, numbers),
      `var<workgroup> sums: array<Value, ${lanes}>;`,
      `@compute @workgroup_size(${lanes})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
      'var sum = Value();',
      `for (var group = ${first}; group < ${end}; group++) {`,
      `for (var pixel = lane; pixel < u.x_n * u.x_h; pixel += ${lanes}u) { sum += term(pixel, group); }`,
      '}',
      ...(lanes > FEW
        ? [...gatherSums(lanes, FEW), 'workgroupBarrier();', ...gatherSums(FEW, 1)]
        : gatherSums(lanes, 1)),
      'if (lane > 0u) { return; }',
      scalar,
      `put(0u, ${first}, 0u, sum / f32(u.divisor));`,
      '}',
    ],
    workgroups: [[{ dim: keep === 'channel' ? groups : 1, per: 1 }], [], []],
  });
}

/** The `sum` of each of the first `count` lanes becomes the sum of its share of the first `of` lanes. */
function gatherSums(of: number, count: number): string[] {
  return [
    'sums[lane] = sum;',
    'workgroupBarrier();',
    `if (lane < ${count}u) { for (var i = lane + ${count}u; i < ${of}u; i += ${count}u) { sum += sums[i]; } }`,
  ];
}

function nameOf(name: string, steps: readonly PointwiseStep[]): string {
  return [name, ...steps.map(({ op }) => op)].join('_');
}

interface SumPartsSpec {
  /** `parts` tensors of the extent of `y`, one after another along the images. */
  readonly x: View;
  readonly y: View;
  readonly parts: number;
  readonly epilogue?: readonly PointwiseStep[];
}

/** Adds up partial sums, part by part. */
export function sumParts({ parts, ...spec }: SumPartsSpec): KernelCall {
  return gather(
    'sum_parts',
    spec,
    [
      'var value = Value();',
      'for (var part = 0u; part < u.parts; part++) { value += x_at(part * u.y_n + image, row, column, group); }',
    ],
    { uniforms: { parts } },
  );
}

interface ExpandSpec {
  /** One pixel; one channel where `keep` is `none`. */
  readonly x: View;
  readonly y: View;
  readonly keep: Keep;
  /** Of the value: how many values were averaged. */
  readonly divisor?: number;
  readonly epilogue?: readonly PointwiseStep[];
}

/** Spreads `x` over `y`. */
export function expand({ x, y, keep, divisor = 1, epilogue = [] }: ExpandSpec): KernelCall {
  const value = keep === 'none' ? 'Value(x_at(0u, 0u, 0u, 0u).x)' : 'x_at(0u, 0u, 0u, group)';
  const uniforms = { divisor };
  return gather(`expand_${keep}`, { x, y, epilogue }, [`let value = ${value} / f32(u.divisor);`], {
    uniforms,
  });
}
