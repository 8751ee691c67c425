// A training step on the device: every buffer that it needs, and its flat lists of work, which are encoded again for
// each step. One list for each batch (forward, backward), one for what is done once (optimizer).

import { internal } from '../diagnostics.js';
import type { Constants } from './constant-buffers.js';
import { stepCost, stepName } from './dispatch.js';
import { allocate, Usage } from './gpu.js';
import { type Ledger, ledgerOf } from './kernels/optimizer.js';
import { ALIGNMENT, bufferBytes } from './memory.js';
import { createTextures, mirrorCopies } from './mirrors.js';
import type { Copy, TextureCopy, Work } from './pacer.js';
import type { Pipelines } from './pipelines.js';
import type { Binding, StepPlan } from './plan.js';
import { type Launch, prepare } from './step-launch.js';
import { lossPorts, type StepLayout, type Twin, twinsOf } from './step-memory.js';
import {
  type Optimization,
  type OptimizerBuffers,
  squaredRanges,
  sumLaunches,
  trainedArenas,
  updateLaunches,
} from './step-optimizer.js';

export interface StepProgram {
  readonly ledger: Ledger;
  readonly buffers: OptimizerBuffers;
  /** What to bind for a buffer of the plan. */
  resource(buffer: number): Required<GPUBufferBinding>;
  /** For each step of the plan. */
  readonly steps: readonly (readonly Work[])[];
  /** The same in one list, which is sent without a promise for each step. */
  readonly batch: readonly Work[];
  /** Keep and bring back the running statistics as they are before a step. */
  readonly keep: readonly Copy[];
  readonly bringBack: readonly Copy[];
  /** After the steps of each batch: its losses go into the ledger, and its gradients into the sum. */
  readonly afterBatch: readonly (readonly Work[])[];
  /** After the last batch. */
  readonly update: readonly Work[];
  destroy(): void;
}

/** What a program is built from. */
export interface StepParts {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly plan: StepPlan;
  readonly layout: StepLayout;
  readonly constants: Constants;
  readonly options: Optimization;
}

export async function buildStep(parts: StepParts): Promise<StepProgram> {
  const { plan, options } = parts;
  const losses = (options.accumulate ?? 1) * lossPorts(plan).length;
  const ledger = ledgerOf(trainedArenas(plan).length, losses);
  const memory = await allocateAll(parts, ledger);
  try {
    return await assemble(parts, ledger, memory);
  } catch (error) {
    for (const one of [...memory.all, ...memory.textures]) one.destroy();
    throw error;
  }
}

async function assemble(
  parts: StepParts,
  ledger: Ledger,
  { slots, twins, all, textures, ...scratch }: Awaited<ReturnType<typeof allocateAll>>,
): Promise<StepProgram> {
  const { device, pipelines, plan, layout, constants, options } = parts;
  const losses = lossPorts(plan);
  const batches = options.accumulate ?? 1;
  const buffers: OptimizerBuffers = {
    ...scratch,
    twin: (arena, twin) => twins[arena]!.get(twin) ?? internal(`arena ${arena} has no ${twin}`),
  };

  const resource = (buffer: number): Required<GPUBufferBinding> => {
    const size = bufferBytes(plan.buffers[buffer]!, {});
    const place = layout.places[buffer] ?? internal(`${plan.buffers[buffer]!.name} has no place`);
    if (place.in === 'ledger') return { buffer: buffers.ledger, offset: 0, size };
    if (place.in === 'slot') return { buffer: slots[place.slot]!, offset: 0, size };
    return { buffer: buffers.twin(place.arena, place.twin), offset: place.offset, size };
  };
  const views = textures.map((texture) => texture.createView());
  const tensorOf = (bound: Binding) =>
    'buffer' in bound ? resource(bound.buffer) : internal('a constant is copied');
  const dispatches = plan.steps.map((step, i): Launch & { copies: (Copy | TextureCopy)[] } => {
    const kernel = plan.kernels[step.kernel]!;
    const storage = step.bindings.map((bound, binding) =>
      'buffer' in bound
        ? resource(bound.buffer)
        : constants.resource(bound.constant, kernel.bindings[binding]!),
    );
    const copies: (Copy | TextureCopy)[] = [];
    for (const { binding, slot } of layout.copies.get(i) ?? []) {
      const { buffer: source, offset: from, size: bytes } = tensorOf(step.bindings[binding]!);
      const target = slots[slot]!;
      storage[binding] = { buffer: target, size: bytes };
      copies.push({ source, from, target, to: 0, bytes });
    }
    for (const { binding, texture, isFirst } of layout.mirrors.steps.get(i) ?? []) {
      storage[binding] = views[texture]!;
      if (isFirst) copies.push(...mirrorCopies(textures[texture]!, tensorOf(step.bindings[binding]!)));
    }
    const { uniforms, workgroups } = step;
    const cost = stepCost(step, plan.buffers, {});
    const task = { step, sizes: {} };
    return { name: stepName(step), kernel, uniforms, workgroups, storage, cost, task, copies };
  });

  const setting = { plan, limits: device.limits, options, ledger, buffers };
  const sums = batches > 1 ? sumLaunches(setting) : [];
  const launches = [...dispatches, ...sums, ...updateLaunches(setting)];
  const { commands, uniforms } = await prepare(device, pipelines, `a step of ${plan.name}`, launches);
  const afterSums = dispatches.length + sums.length;
  const steps = dispatches.map(({ copies }, i): Work[] => [...copies, commands[i]!]);
  const whole = (trained: boolean, from: Twin, to: Twin): Copy[] =>
    plan.arenas.flatMap(({ bytes, trained: isTrained }, arena) => {
      if (isTrained !== trained) return [];
      return [{ source: buffers.twin(arena, from), from: 0, target: buffers.twin(arena, to), to: 0, bytes }];
    });
  return {
    ledger,
    buffers,
    resource,
    steps,
    batch: steps.flat(),
    keep: whole(false, 'value', 'before'),
    bringBack: whole(false, 'before', 'value'),
    afterBatch: Array.from({ length: batches }, (_, batch) => [
      ...losses.map(({ buffer }, i): Copy => {
        const { buffer: source, offset: from } = resource(buffer);
        const to = 4 * (ledger.scalars + batch * losses.length + i);
        return { source, from, target: buffers.ledger, to, bytes: 4 };
      }),
      ...(batches > 1 && batch === 0 ? whole(true, 'gradient', 'gradients') : []),
      ...(batch > 0 ? commands.slice(dispatches.length, afterSums) : []),
    ]),
    update: commands.slice(afterSums),
    destroy: () => {
      for (const one of [...all, ...textures, uniforms]) one.destroy();
    },
  };
}

async function allocateAll({ device, plan, layout, options }: StepParts, ledger: Ledger) {
  const parts = squaredRanges(plan, device.limits).flat().at(-1)?.end ?? 0;
  const twins = plan.arenas.map((arena) => twinsOf(arena, options));
  const make = (label: string, size: number) => ({ label, size: Math.max(ALIGNMENT, size), usage: USAGE });
  const all = await allocate(device, `training ${plan.name}`, [
    make('ledger', 4 * ledger.length),
    make('rates', 8 * plan.arenas.length),
    make('sums of squares', 4 * parts),
    ...layout.slotBytes.map((size, i) => make(`slot ${i}`, size)),
    ...plan.arenas.flatMap(({ network, bytes }, i) =>
      twins[i]!.map((twin) => make(`${twin} of ${network}`, bytes)),
    ),
  ]);
  const textures = await createTextures(device, `training ${plan.name}`, layout.mirrors.textures).catch(
    (error) => {
      for (const buffer of all) buffer.destroy();
      throw error;
    },
  );
  const [ledgerBuffer, rates, partial, ...rest] = all;
  const slots = rest.splice(0, layout.slotBytes.length);
  return {
    all,
    textures,
    ledger: ledgerBuffer!,
    rates: rates!,
    partial: partial!,
    slots,
    twins: twins.map((names) => new Map(names.map((twin) => [twin, rest.shift()!]))),
  };
}

const USAGE = Usage.storage | Usage.copySrc | Usage.copyDst;
