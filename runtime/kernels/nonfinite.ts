// Finds what is no number: whether a channel range of a tensor holds a NaN or an infinity.

import type { KernelCall, View } from './kernel.js';
import { assemble, load, reads, writes } from './text.js';

/** By the bits: WGSL lets compilers assume that there are no infinities. */
export const IS_FINITE =
  'fn is_finite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u; }';

const LANES = 256;
/** How many values `nonfinite` leaves. */
export const NONFINITE_PARTS = 64;

export type Finding = 'NaN' | 'Inf';

/** What values of `nonfinite`, all of one tensor, say together. */
export function findingOf(parts: Float32Array): Finding | undefined {
  if (parts.includes(2)) return 'NaN';
  return parts.includes(1) ? 'Inf' : undefined;
}

/** The sizes of `x` are numbers. Slot 1 gets the parts, from index `first` on. */
export function nonfinite({ x, first }: { x: View; first: number }): KernelCall {
  const size = x.dims.reduce<number>((product, dim) => product * Number(dim), x.channels);
  return assemble({
    name: `nonfinite_${x.dtype}`,
    uniforms: { size, first, channels: x.channels, stride: x.stride, offset: x.offset },
    uses: [reads(x, 1), writes({ slot: 1, dtype: 'f32' }, 1)],
    width: 1,
    body: [
      IS_FINITE,
      `var<workgroup> lanes: array<f32, ${LANES}>;`,
      `@compute @workgroup_size(${LANES})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
      'var worst = 0f;',
      `for (var i = id.x * ${LANES}u + lane; i < u.size; i += ${NONFINITE_PARTS * LANES}u) {`,
      `let value = ${load(x, 1, 'i / u.channels * u.stride + u.offset + i % u.channels')};`,
      'if (is_finite(value)) { continue; }',
      'worst = max(worst, select(2f, 1f, (bitcast<u32>(value) & 0x7fffffu) == 0u));',
      '}',
      'lanes[lane] = worst;',
      'workgroupBarrier();',
      'if (lane > 0u) { return; }',
      `for (var i = 1u; i < ${LANES}u; i++) { worst = max(worst, lanes[i]); }`,
      's1[u.first + id.x] = worst;',
      '}',
    ],
    workgroups: [[{ dim: NONFINITE_PARTS, per: 1 }], [], []],
  });
}
