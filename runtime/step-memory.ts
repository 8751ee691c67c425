// Where everything lies that a training step needs: decided, reported and checked before anything is allocated.
// Tensors of one step share slots; residents lie in arenas, and beside every arena lie twins of its length.

import { fail, internal } from '../diagnostics.js';
import { printBytes } from './gpu.js';
import { bufferBytes, constantBytes, type Life, place } from './memory.js';
import { type MirrorPlan, mirrorBytes, mirrorsOf, mostBytes, placeMirrors } from './mirrors.js';
import type { Arena, Port, StepPlan } from './plan.js';
import { axisGroups, type Memory, sum } from './schedule.js';

/** What is kept of an arena: the residents, and vectors that hold something else at each resident's place. */
export type Twin =
  | 'value'
  | 'gradient'
  | 'moment1'
  | 'moment2'
  | 'average'
  /** The sum of the gradients of the batches of a step, where there are several. */
  | 'gradients'
  /** Running statistics as they were before the step, for steps that do not count. */
  | 'before';

/** What decides which twins there are. */
export interface TwinOptions {
  readonly average?: { readonly network: string };
  readonly accumulate?: number;
}

export function twinsOf(arena: Arena, { average, accumulate = 1 }: TwinOptions): readonly Twin[] {
  if (!arena.trained) return ['value', 'before'];
  return [
    'value',
    'gradient',
    'moment1',
    'moment2',
    ...(average?.network === arena.network ? (['average'] as const) : []),
    ...(accumulate > 1 ? (['gradients'] as const) : []),
  ];
}

/** Where a tensor of the plan lies; the scale of the loss lies in the ledger. */
export type Place =
  | { readonly in: 'slot'; readonly slot: number }
  | { readonly in: 'arena'; readonly arena: number; readonly twin: Twin; readonly offset: number }
  | { readonly in: 'ledger' };

export interface StepLayout {
  /** Of each buffer of the plan; undefined where no step uses it. */
  readonly places: readonly (Place | undefined)[];
  /** Bytes of each slot. */
  readonly slotBytes: readonly number[];
  readonly mirrors: MirrorPlan;
  /**
   * Steps that read one tensor of an arena and write another, which WebGPU forbids in one dispatch: which of their
   * bindings are to be copied before, and to which slot.
   */
  readonly copies: ReadonlyMap<number, readonly Copied[]>;
  readonly memory: StepMemory;
}

interface Copied {
  readonly binding: number;
  readonly slot: number;
}

export interface StepMemory extends Memory {
  /** Parameters, running statistics, and all that lies beside them. */
  readonly arenas: number;
}

/** The name of the input that is the scale of the loss. */
export const LOSS_SCALE = 'loss_scale';

export function layOut(plan: StepPlan, options: TwinOptions): StepLayout {
  const { buffers, steps } = plan;
  const bytes = buffers.map((buffer) => bufferBytes(buffer, {}));
  const fixed = buffers.map((_, i) => fixedPlace(plan, i));
  const lives = livesOf(plan, (buffer) => fixed[buffer] === undefined);
  const tenants = [...lives].map(([buffer, life]) => ({ ...life, bytes: bytes[buffer]! }));
  const conflicts = steps.flatMap((_, step) =>
    conflictsOf(plan, step, fixed).map((binding) => ({ step, binding })),
  );
  const copied = conflicts.map(({ step, binding }): Life => {
    const bound = steps[step]!.bindings[binding]!;
    return { bytes: 'buffer' in bound ? bytes[bound.buffer]! : 0, first: step, last: step };
  });

  const { slots, sizes } = place([...tenants, ...copied]);
  const mirrors = placeMirrors(mirrorsOf(plan, { start: 0, end: steps.length }, {}));
  const places = [...fixed];
  for (const [i, buffer] of [...lives.keys()].entries()) places[buffer] = { in: 'slot', slot: slots[i]! };
  const copies = new Map<number, Copied[]>();
  for (const [i, { step, binding }] of conflicts.entries()) {
    copies.set(step, [...(copies.get(step) ?? []), { binding, slot: slots[tenants.length + i]! }]);
  }
  return {
    places,
    slotBytes: sizes,
    mirrors,
    copies,
    memory: {
      naive: sum(tenants.map((tenant) => tenant.bytes)),
      planned: sum(sizes) + mirrorBytes(mirrors),
      mirrors: mirrorBytes(mirrors),
      constants: sum(plan.constants.map(constantBytes)),
      arenas: sum(plan.arenas.map((arena) => arena.bytes * twinsOf(arena, options).length)),
      largestBinding: Math.max(
        0,
        ...bytes.filter((_, buffer) => places[buffer]),
        ...plan.constants.map(constantBytes),
      ),
    },
  };
}

/** The place of what outlives a step. */
function fixedPlace({ buffers, inputs, residents, arenas }: StepPlan, buffer: number): Place | undefined {
  const { resident, name } = buffers[buffer]!;
  if (inputs.some((port) => port.buffer === buffer && port.name === LOSS_SCALE)) return { in: 'ledger' };
  if (!resident) return undefined;
  const { arena, offset } = residents[resident.resident] ?? internal(`${name} is no resident`);
  if (resident.of === 'gradient' && !arenas[arena]!.trained)
    internal(`${name} is the gradient of what is not trained`);
  return { in: 'arena', arena, twin: resident.of, offset };
}

/** From the first step that uses a buffer to the last; inputs live from before the steps, losses until after them. */
function livesOf(
  plan: StepPlan,
  isTransient: (buffer: number) => boolean,
): Map<number, { first: number; last: number }> {
  const lives = new Map<number, { first: number; last: number }>();
  const use = (buffer: number, moment: number) => {
    if (!isTransient(buffer)) return;
    const life = lives.get(buffer) ?? { first: moment, last: moment };
    lives.set(buffer, { ...life, last: moment });
  };
  for (const { buffer } of plan.inputs) use(buffer, -1);
  for (const [i, { name, bindings, writes }] of plan.steps.entries()) {
    for (const binding of bindings) {
      if (!('buffer' in binding)) continue;
      const { buffer } = binding;
      if (isTransient(buffer) && !lives.has(buffer) && writes.buffer !== buffer)
        internal(`${name} reads ${plan.buffers[buffer]!.name}, which nothing has written`);
      use(buffer, i);
    }
  }
  for (const { buffer } of lossPorts(plan)) use(buffer, plan.steps.length);
  return lives;
}

/** The outputs that are losses: scalars that do not stay on the device. */
export function lossPorts({ outputs, buffers }: StepPlan): Port[] {
  return outputs.filter(({ buffer, channels }) => {
    const { dims, resident, dtype, name } = buffers[buffer]!;
    const isScalar = !resident && channels === 1 && dims.every((dim) => dim === 1);
    if (isScalar && dtype !== 'f32') internal(`the loss ${name} is not f32`);
    return isScalar;
  });
}

/** The bindings of a step that only read the buffer which another of its bindings writes. */
function conflictsOf(plan: StepPlan, index: number, places: readonly (Place | undefined)[]): number[] {
  const { bindings, kernel } = plan.steps[index]!;
  const access = plan.kernels[kernel]!.bindings;
  const homes = bindings.map((binding) => {
    const at = 'buffer' in binding ? places[binding.buffer] : undefined;
    return at?.in === 'arena' ? `${at.arena} ${at.twin}` : undefined;
  });
  const written = new Set(homes.filter((home, i) => home && access[i] === 'read_write'));
  return homes.flatMap((home, i) => (access[i] === 'read' && written.has(home) ? [i] : []));
}

export type StepLimits = Pick<
  GPUSupportedLimits,
  'maxStorageBufferBindingSize' | 'maxBufferSize' | 'maxComputeWorkgroupsPerDimension'
>;

/** Fails when a step needs more than the device has, or `available` bytes in all. */
export function checkFits(
  plan: StepPlan,
  layout: StepLayout,
  limits: StepLimits,
  available = Infinity,
): void {
  const { planned, constants, arenas, largestBinding } = layout.memory;
  const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupsPerDimension: maxGroups } = limits;
  const bytes = planned + constants + arenas;
  const buffer = Math.max(largestBinding, ...layout.slotBytes, ...plan.arenas.map((arena) => arena.bytes));
  const groups = Math.max(...plan.steps.flatMap(({ workgroups }) => axisGroups(workgroups, {})));
  const notes = [
    ...exceeds(bytes, available, [
      `it needs ${printBytes(bytes)}: ${printBytes(planned)} for what it computes,`,
      `${printBytes(arenas)} for what is trained, ${printBytes(constants)} for what is not`,
    ]),
    ...exceeds(largestBinding, mostBytes(plan, maxStorageBufferBindingSize), [
      `it needs ${printBytes(largestBinding)} in one tensor`,
    ]),
    ...exceeds(buffer, maxBufferSize, [`it needs ${printBytes(buffer)} in one buffer`]),
  ];
  if (groups > maxGroups) notes.push(`it needs ${groups} workgroups in a row; there are ${maxGroups}`);
  if (notes.length === 0) return;
  fail(`a training step of ${plan.name} does not fit the device`, { notes, help: SMALLER });
}

/** What to do when memory is short. */
export const SMALLER = 'use a smaller `batch:` (and `accumulate:` to make up for it) or a smaller `patch:`';

function exceeds(needed: number, there: number, note: readonly string[]): string[] {
  return needed <= there ? [] : [`${note.join(' ')}; there are ${printBytes(there)}`];
}
