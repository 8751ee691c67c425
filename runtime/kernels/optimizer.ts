// What is done with gradients: kernels over arenas, which are long vectors of f32 to them. Padding has zero gradient and
// zero moments, so it stays zero. Whether a step counts is decided on the device, by `judge`, because the host learns
// of it when the next steps are already under way; what changes parameters reads the verdict in the ledger.

import type { KernelCall } from './kernel.js';
import { IS_FINITE } from './nonfinite.js';
import { assemble, literal, range, reads, type Use, writes } from './text.js';

/** A range of an arena: a multiple of four floats. */
export interface Span {
  readonly floats: number;
}

const LANES = 256;
/** What one dispatch can reach: the workgroups that every device allows, each lane with four floats. */
export const MAX_SPAN = 65535 * LANES * 4;

/** Where the numbers of a step lie in the ledger, by index; each is one f32. The scale comes first, as one pixel. */
export interface Ledger {
  /** Of the loss, a power of two; and good steps since it last changed. */
  readonly scale: number;
  readonly since: number;
  /** 1 from the first step on that could not be mended. */
  readonly halted: number;
  /** 1 where the step counts. */
  readonly applied: number;
  /** What each trained arena's gradient is multiplied with; its norm as if the loss had not been scaled. */
  readonly factors: number;
  readonly norms: number;
  /** The step's losses. */
  readonly scalars: number;
  readonly length: number;
}

export function ledgerOf(arenas: number, losses: number): Ledger {
  const [factors, norms, scalars] = [8, 8 + arenas, 8 + 2 * arenas];
  return { scale: 0, since: 4, halted: 5, applied: 6, factors, norms, scalars, length: scalars + losses };
}

/** The line before those that only a step which counts may do; `slot` is the ledger's. */
function onlyIfApplied(slot: number, { applied }: Ledger): string {
  return `if (s${slot}[${applied}] == 0) { return; }`;
}

interface AdamSpec extends Span {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly ledger: Ledger;
  /** Which of the trained arenas. */
  readonly arena: number;
}

/** What the host sets before each step, for each trained arena: the rates of `adam`. */
export function adamRates(
  t: number,
  rate: number,
  [beta1, beta2]: readonly [number, number],
): [number, number] {
  return [rate / (1 - beta1 ** t), Math.sqrt(1 - beta2 ** t)];
}

/**
 * Adam as torch.optim.Adam computes it (Kingma & Ba 2015, with epsilon outside of the root).
 * Slots: parameters, moments 1 and 2, gradient, ledger, rates (two for each arena).
 */
export function adam({ betas: [beta1, beta2], eps, floats, ledger, arena }: AdamSpec): KernelCall {
  return elementwise(
    'adam',
    floats,
    [f32(0, 'rw'), f32(1, 'rw'), f32(2, 'rw'), f32(3), scalar(4), scalar(5)],
    [
      onlyIfApplied(4, ledger),
      `let g = s3[i] * s4[${ledger.factors + arena}];`,
      `let m = s1[i] + (g - s1[i]) * ${literal(1 - beta1)};`,
      `let v = s2[i] * ${literal(beta2)} + g * g * ${literal(1 - beta2)};`,
      's1[i] = m;',
      's2[i] = v;',
      `s0[i] -= s5[${2 * arena}] * (m / (sqrt(v) / s5[${2 * arena + 1}] + ${literal(eps)}));`,
    ],
  );
}

/** The exponential moving average. Slots: average, parameters, ledger. */
export function average({ decay, floats, ledger }: Span & { decay: number; ledger: Ledger }): KernelCall {
  return elementwise(
    'average',
    floats,
    [f32(0, 'rw'), f32(1), scalar(2)],
    [onlyIfApplied(2, ledger), `s0[i] = s0[i] * ${literal(decay)} + s1[i] * ${literal(1 - decay)};`],
  );
}

/** Adds slot 1, the gradient of a further batch, to slot 0. */
export function accumulate({ floats }: Span): KernelCall {
  return elementwise('accumulate', floats, [f32(0, 'rw'), f32(1)], ['s0[i] += s1[i];']);
}

/** Takes back what a step that does not count has written into slot 0. Slots: state, its copy from before, ledger. */
export function restore({ floats, ledger }: Span & { ledger: Ledger }): KernelCall {
  return elementwise(
    'restore',
    floats,
    [f32(0, 'rw'), f32(1), scalar(2)],
    [`if (s2[${ledger.applied}] != 0) { return; }`, 's0[i] = s1[i];'],
  );
}

const MOST_PARTS = 256;

/** How many partial sums `squares` makes. */
export function squaresParts({ floats }: Span): number {
  return Math.min(MOST_PARTS, Math.ceil(floats / (4 * LANES)));
}

/** Partial sums of the squares of slot 0, into slot 1 from index `first` on. */
export function squares({ floats, first }: Span & { first: number }): KernelCall {
  return assemble({
    name: 'squares',
    uniforms: { size: floats / 4, first, stride: LANES * squaresParts({ floats }) },
    uses: [f32(0), { ...f32(1, 'rw'), width: 1 }],
    width: 4,
    body: [
      `var<workgroup> lanes: array<f32, ${LANES}>;`,
      `@compute @workgroup_size(${LANES})`,
      'fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
      'var sum = Value();',
      `for (var i = id.x * ${LANES}u + lane; i < u.size; i += u.stride) { sum += s0[i] * s0[i]; }`,
      'lanes[lane] = dot(sum, Value(1));',
      `for (var half = ${LANES / 2}u; half > 0u; half /= 2u) {`,
      'workgroupBarrier();',
      'if (lane < half) { lanes[lane] += lanes[lane + half]; }',
      '}',
      'if (lane == 0u) { s1[u.first + id.x] = lanes[0]; }',
      '}',
    ],
    workgroups: [[{ dim: squaresParts({ floats }), per: 1 }], [], []],
  });
}

interface JudgeSpec {
  readonly ledger: Ledger;
  /** For each trained arena, where its partial sums of squares begin and end. */
  readonly parts: readonly { readonly first: number; readonly end: number }[];
  /** Batches whose gradients were added up. */
  readonly batches: number;
  /** The norm that a gradient has at most. */
  readonly clip?: number;
  /** Whether the loss was scaled, by the scale in the ledger. */
  readonly scaled: boolean;
}

/** Good steps after which the scale is doubled, and how large it may become (torch.amp.GradScaler has no such end). */
const GROWTH_INTERVAL = 2000;
const MAX_SCALE = 2 ** 24;

/**
 * Decides whether the step counts: every loss and norm must be finite. Where the loss is scaled, the scale is halved
 * otherwise, and the next step may do; at a scale of 1, or without one, training has halted.
 * Slots: ledger, partial sums of squares.
 */
export function judge({ ledger, parts, batches, clip, scaled }: JudgeSpec): KernelCall {
  const { scale, since, halted, applied, factors, norms, scalars, length } = ledger;
  // As torch.nn.utils.clip_grad_norm_ does it.
  const limited = (norm: string): string =>
    clip === undefined ? 'mean' : `mean * min(1, ${literal(clip)} / (${norm} + 1e-6))`;
  const overflow = scaled
    ? [
        `if (good) { s0[${since}] += 1; } else if (s0[${scale}] > 1) { s0[${scale}] /= 2; s0[${since}] = 0; }`,
        `else { s0[${halted}] = 1; }`,
        `if (s0[${since}] >= ${GROWTH_INTERVAL}) {`,
        `s0[${scale}] = min(s0[${scale}] * 2, ${literal(MAX_SCALE)}); s0[${since}] = 0; }`,
      ]
    : [`if (!good) { s0[${halted}] = 1; }`];
  return assemble({
    name: 'judge',
    uniforms: { batches },
    uses: [
      { ...f32(0, 'rw'), width: 1 },
      { ...f32(1), width: 1 },
    ],
    width: 1,
    body: [
      `var<workgroup> lanes: array<f32, ${LANES}>;`,
      'fn total(first: u32, end: u32, lane: u32) -> f32 {',
      'var sum = 0f;',
      `for (var i = first + lane; i < end; i += ${LANES}u) { sum += s1[i]; }`,
      'workgroupBarrier();',
      'lanes[lane] = sum;',
      'workgroupBarrier();',
      'sum = 0;',
      `for (var i = 0u; i < ${LANES}u; i++) { sum += lanes[i]; }`,
      'return sum;',
      '}',
      IS_FINITE,
      `@compute @workgroup_size(${LANES})`,
      'fn main(@builtin(local_invocation_index) lane: u32) {',
      `let mean = 1 / (${scaled ? `s0[${scale}]` : '1f'} * f32(u.batches));`,
      ...parts.map(({ first, end }, a) => `let norm_${a} = sqrt(total(${first}u, ${end}u, lane)) * mean;`),
      'if (lane > 0u) { return; }',
      `var good = s0[${halted}] == 0;`,
      `for (var i = ${scalars}u; i < ${length}u; i++) { good = good && is_finite(s0[i]); }`,
      ...range(parts.length).flatMap((a) => [
        `good = good && is_finite(norm_${a});`,
        `s0[${factors + a}] = ${limited(`norm_${a}`)};`,
        `s0[${norms + a}] = norm_${a};`,
      ]),
      `s0[${applied}] = select(0f, 1f, good);`,
      ...overflow,
      '}',
    ],
    workgroups: [[{ dim: 1, per: 1 }], [], []],
  });
}

function f32(slot: number, access: 'r' | 'rw' = 'r'): Use {
  return access === 'r' ? reads({ slot, dtype: 'f32' }) : writes({ slot, dtype: 'f32' });
}

function scalar(slot: number): Use {
  return reads({ slot, dtype: 'f32' }, 1);
}

/** `lines` compute element `i`, of four floats. */
function elementwise(
  name: string,
  floats: number,
  uses: readonly Use[],
  lines: readonly string[],
): KernelCall {
  return assemble({
    name,
    uniforms: { size: floats / 4 },
    uses,
    width: 4,
    body: [
      `@compute @workgroup_size(${LANES})`,
      'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
      'let i = id.x;',
      'if (i >= u.size) { return; }',
      ...lines,
      '}',
    ],
    workgroups: [[{ dim: floats / 4, per: LANES }], [], []],
  });
}
