// What a device can do at most, as two kernels: arithmetic in registers without memory, and memory without arithmetic.

import type { KernelCall } from './kernel.js';
import { assemble, range, reads, writes } from './text.js';

/** Enough lanes to fill the largest GPUs; their sums are the only memory that is touched. */
export const FMA_LANES = 2 ** 18;
const FMA_WORKGROUP = 64;
/**
 * Independent chains of fused multiply-adds: more than the latency of one needs on any device, and few enough that
 * drivers on the CPU keep them in registers (at 14 lavapipe begins to spill).
 */
const CHAINS = 12;
/** Links of every chain in a turn of the loop, whose counter then costs nothing. */
const UNROLL = 4;

/** Of one turn of the loop, in all lanes together. */
export const FMA_MACS = FMA_LANES * CHAINS * UNROLL;

/** Slot 0 gets a number from each lane, so that nothing can be left out. */
export function fmaChains(turns: number): KernelCall {
  const chains = range(CHAINS).map((i) => `a${i}`);
  return assemble({
    name: 'fma_chains',
    uniforms: { turns },
    uses: [writes({ slot: 0, dtype: 'f32' }, 1)],
    width: 1,
    body: [
      `@compute @workgroup_size(${FMA_WORKGROUP})`,
      'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
      // Each chain tends to a number of its own, neither infinite nor denormal.
      'let factor = 0.5 + f32(id.x) * 1e-7;',
      ...chains.map((chain, i) => `var ${chain} = ${i}.0;`),
      'for (var turn = 0u; turn < u.turns; turn++) {',
      ...range(UNROLL).flatMap(() =>
        chains.map((chain, i) => `${chain} = fma(${chain}, factor, ${i + 1}.0);`),
      ),
      '}',
      `s0[id.x] = ${chains.join(' + ')};`,
      '}',
    ],
    workgroups: [[{ dim: FMA_LANES, per: FMA_WORKGROUP }], [], []],
  });
}

/** Neighbouring lanes copy neighbouring vec4, the widest load that there is, and several of them to hide its latency. */
const STREAM_WORKGROUP = 256;
const VECTORS_PER_LANE = 4;

/** Copies `floats`, a multiple of 4096, from slot 0 to slot 1. */
export function stream(floats: number): KernelCall {
  const vectors = STREAM_WORKGROUP * VECTORS_PER_LANE;
  return assemble({
    name: 'stream',
    uniforms: { step: STREAM_WORKGROUP },
    uses: [reads({ slot: 0, dtype: 'f32' }), writes({ slot: 1, dtype: 'f32' })],
    width: 4,
    body: [
      `@compute @workgroup_size(${STREAM_WORKGROUP})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
      `let first = id.x * ${vectors}u + lane;`,
      ...range(VECTORS_PER_LANE).map((i) => `s1[first + ${i}u * u.step] = s0[first + ${i}u * u.step];`),
      '}',
    ],
    workgroups: [[{ dim: floats / 4, per: vectors }], [], []],
  });
}
