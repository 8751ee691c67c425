// Sums over images, rows and columns, in two launches whose order is fixed by the shape alone: no atomics, so the same
// data gives the same bits. `sumColumns` leaves one pixel per row, `sumRows` one pixel, or one scalar; `expand`, their
// adjoint, spreads a value back. Intermediate sums should be f32 whatever the storage of the operands.

import type { Dim } from '../dims.js';
import { gather } from './gather.js';
import type { KernelCall, PointwiseStep, View } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, numbersIn, reads, store, writes } from './text.js';

const LANES = 64;
const RUN = 64;

/** `channel` leaves a value per channel, `none` a scalar. */
export type Keep = 'channel' | 'none';

/** Sums the columns of `x`, in runs, because a long sum in f32 loses what it adds; `y` is one column wide. */
export function sumColumns({ x, y }: { x: View; y: View }): KernelCall {
  return gather('sum_columns', { x, y }, [
    'var value = Value();',
    `for (var first = 0u; first < u.x_w; first += ${RUN}u) {`,
    'var run = Value();',
    `for (var i = first; i < min(first + ${RUN}u, u.x_w); i++) { run += x_at(image, row, i, group); }`,
    'value += run;',
    '}',
  ]);
}

interface SumRowsSpec {
  /** One column wide. */
  readonly x: View;
  /** One pixel; one channel where `keep` is `none`. */
  readonly y: View;
  readonly keep: Keep;
  /** Of the sum, for a mean: a count. */
  readonly divisor?: number;
}

/** Sums the rows of all images: each lane its share of the pixels, then one lane the lanes. */
export function sumRows({ x, y, keep, divisor = 1 }: SumRowsSpec): KernelCall {
  const groups = groupsOf(x.channels);
  const uniforms: Record<string, Dim> = { x_n: x.dims[0], x_h: x.dims[1], groups, divisor };
  const numbers = numbersIn(uniforms);
  const [first, end] = keep === 'channel' ? ['id.x', 'id.x + 1u'] : ['0u', 'u.groups'];
  const from = load(x, 4, elementIndex(x, 4, 'pixel', 'group', numbers));
  const to = elementIndex(y, 4, '0u', first, numbers);
  const scalar = keep === 'none' ? 'sum = Value(dot(sum, Value(1)), 0, 0, 0);' : '';
  return assemble({
    name: `sum_rows_${keep}`,
    uniforms,
    uses: [reads(x), writes(y)],
    width: 4,
    body: [
      `var<workgroup> lanes: array<Value, ${LANES}>;`,
      `@compute @workgroup_size(${LANES})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
      'var sum = Value();',
      `for (var group = ${first}; group < ${end}; group++) {`,
      `for (var pixel = lane; pixel < u.x_n * u.x_h; pixel += ${LANES}u) {`,
      `sum += ${from};`,
      '} }',
      'lanes[lane] = sum;',
      'workgroupBarrier();',
      'if (lane > 0u) { return; }',
      `for (var i = 1u; i < ${LANES}u; i++) { sum += lanes[i]; }`,
      scalar,
      'sum /= f32(u.divisor);',
      store(y, 4, to, 'sum'),
      '}',
    ],
    workgroups: [[{ dim: keep === 'channel' ? groups : 1, per: 1 }], [], []],
  });
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
