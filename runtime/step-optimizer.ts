// What follows the gradients of a step, as launches over whole arenas: norms, the verdict, Adam, the average, and the
// return of running statistics where the step does not count.

import { internal } from '../diagnostics.js';
import type { KernelCall } from './kernels/kernel.js';
import {
  accumulate,
  adam,
  average,
  judge,
  type Ledger,
  MAX_SPAN,
  restore,
  type Span,
  squares,
  squaresParts,
} from './kernels/optimizer.js';
import { ALIGNMENT } from './memory.js';
import type { StepPlan } from './plan.js';
import { sum } from './schedule.js';
import type { Launch } from './step-launch.js';
import type { StepLimits, Twin } from './step-memory.js';

export interface Optimization {
  readonly adam: Readonly<
    Record<string, { readonly betas: readonly [number, number]; readonly eps: number }>
  >;
  /** The network whose parameters are averaged exponentially, and how much of the average stays at each step. */
  readonly average?: { readonly network: string; readonly decay: number };
  /** The norm that the gradient of each network has at most. */
  readonly clip?: number;
  /** Batches of a step, whose mean gradient counts; 1 by default. */
  readonly accumulate?: number;
  /** Set where the loss is scaled: the state of its scale to begin with. */
  readonly lossScale?: LossScale;
}

/** The scale of the loss of mixed precision, a power of two. */
export interface LossScale {
  readonly scale: number;
  /** Good steps since it last changed. */
  readonly since: number;
}

/** The buffers that the optimizer works on. */
export interface OptimizerBuffers {
  twin(arena: number, twin: Twin): GPUBuffer;
  readonly ledger: GPUBuffer;
  /** Two numbers for each trained arena (see `adamRates`). */
  readonly rates: GPUBuffer;
  /** Sums of squares. */
  readonly partial: GPUBuffer;
}

/** Indices of the arenas that are trained; their order in the ledger. */
export function trainedArenas({ arenas }: StepPlan): number[] {
  return arenas.flatMap(({ trained }, i) => (trained ? [i] : []));
}

/** A part of an arena that one dispatch takes. */
interface Range {
  readonly offset: number;
  readonly bytes: number;
}

/** A part of an arena's gradient, and where its sums of squares lie. */
interface SquaredRange extends Range {
  readonly first: number;
  readonly end: number;
}

/** For each trained arena. */
export function squaredRanges(plan: StepPlan, limits: StepLimits): SquaredRange[][] {
  let next = 0;
  return trainedArenas(plan).map((arena) =>
    rangesOf(plan.arenas[arena]!.bytes, limits).map((range) => {
      const first = next;
      next += squaresParts({ floats: range.bytes / 4 });
      return { ...range, first, end: next };
    }),
  );
}

/** As few ranges as the device can bind and reach. */
function rangesOf(bytes: number, { maxStorageBufferBindingSize }: StepLimits): Range[] {
  const most = Math.floor(Math.min(maxStorageBufferBindingSize, 4 * MAX_SPAN) / ALIGNMENT) * ALIGNMENT;
  const ranges = [];
  for (let offset = 0; offset < bytes; offset += most)
    ranges.push({ offset, bytes: Math.min(most, bytes - offset) });
  return ranges;
}

/** The context of every launch. */
export interface Setting {
  readonly plan: StepPlan;
  readonly limits: StepLimits;
  readonly options: Optimization;
  readonly ledger: Ledger;
  readonly buffers: OptimizerBuffers;
}

/** Adds the gradients of a further batch to the sum. */
export function sumLaunches(setting: Setting): Launch[] {
  return trainedArenas(setting.plan).flatMap((arena) =>
    overArena(setting, arena, ['gradients', 'gradient'], [], accumulate),
  );
}

/** Once for each step, when all gradients are there. */
export function updateLaunches(setting: Setting): Launch[] {
  const { plan, limits, options, ledger, buffers } = setting;
  const gradient: Twin = (options.accumulate ?? 1) > 1 ? 'gradients' : 'gradient';
  const squared = squaredRanges(plan, limits);
  const trained = trainedArenas(plan);
  return [
    ...trained.flatMap((arena, i) =>
      squared[i]!.map(({ first, ...range }) => {
        const storage = [at(buffers.twin(arena, gradient), range), { buffer: buffers.partial }];
        return launch(squares({ floats: range.bytes / 4, first }), plan.arenas[arena]!.network, storage);
      }),
    ),
    launch(
      judge({
        ledger,
        parts: squared.map((ranges) => ({ first: ranges[0]?.first ?? 0, end: ranges.at(-1)?.end ?? 0 })),
        batches: options.accumulate ?? 1,
        ...(options.clip !== undefined && { clip: options.clip }),
        scaled: options.lossScale !== undefined,
      }),
      plan.name,
      [{ buffer: buffers.ledger }, { buffer: buffers.partial }],
    ),
    ...trained.flatMap((arena, i) => {
      const { network } = plan.arenas[arena]!;
      const { betas, eps } = options.adam[network] ?? internal(`no optimizer for ${network}`);
      const twins: Twin[] = ['value', 'moment1', 'moment2', gradient];
      const others = [buffers.ledger, buffers.rates];
      const update = (span: Span) => adam({ ...span, betas, eps, ledger, arena: i });
      return overArena(setting, arena, twins, others, update);
    }),
    ...trained.flatMap((arena) => {
      const { network, decay } = options.average ?? {};
      if (decay === undefined || network !== plan.arenas[arena]!.network) return [];
      const update = (span: Span) => average({ ...span, decay, ledger });
      return overArena(setting, arena, ['average', 'value'], [buffers.ledger], update);
    }),
    ...plan.arenas.flatMap(({ trained }, arena) => {
      const undo = (span: Span) => restore({ ...span, ledger });
      return trained ? [] : overArena(setting, arena, ['value', 'before'], [buffers.ledger], undo);
    }),
  ];
}

/** A kernel over the twins of an arena, range by range; `others` are bound whole, after them. */
function overArena(
  { plan, limits, buffers }: Setting,
  arena: number,
  twins: readonly Twin[],
  others: readonly GPUBuffer[],
  kernel: (span: Span) => KernelCall,
): Launch[] {
  const { network, bytes } = plan.arenas[arena]!;
  return rangesOf(bytes, limits).map((range) => {
    const vectors = twins.map((twin) => at(buffers.twin(arena, twin), range));
    return launch(kernel({ floats: range.bytes / 4 }), network, [
      ...vectors,
      ...others.map((buffer) => ({ buffer })),
    ]);
  });
}

function at(buffer: GPUBuffer, { offset, bytes }: Range): GPUBufferBinding {
  return { buffer, offset, size: bytes };
}

function launch(kernel: KernelCall, network: string, storage: readonly GPUBufferBinding[]): Launch {
  const { uniforms, workgroups } = kernel;
  const cost = storage.reduce((sum, { size = 0 }) => sum + size, 0);
  const name = `${kernel.name} of ${network}`;
  const bytes = storage.map(
    ({ buffer, size = buffer.size }, i) => size * (kernel.bindings[i] === 'read' ? 1 : 2),
  );
  const task = { name, kernel: kernel.name, group: 'optimizer', bytes: sum(bytes) };
  return { name, kernel, uniforms, workgroups, storage, cost, task };
}
