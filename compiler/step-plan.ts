// A training step as a plan: passes, the places of tensors that live from step to step, lowering. Each network has an
// arena for what is trained, with a twin for gradients, and one for its running statistics.

import { fail } from '../diagnostics.js';
import { printBytes } from '../runtime/gpu.js';
import { roundUp } from '../runtime/kernels/kernel.js';
import { ALIGNMENT, packedLength } from '../runtime/memory.js';
import type { Arena, Resident, StepPlan } from '../runtime/plan.js';
import { layOut, SMALLER, type TwinOptions } from '../runtime/step-memory.js';
import type { Graph, Node, Param, Ref } from './graph.js';
import { packingOf } from './layout.js';
import type { Persistence } from './lower/buffers.js';
import { plannedBytes } from './lower/lives.js';
import { lower } from './lower.js';
import { optimizeStep, type PassLog } from './passes/pipeline.js';
import { recompute } from './recompute.js';
import type { Target } from './target.js';
import type { StepGraph } from './training.js';
import { verify } from './verify.js';

export interface PlannedStep {
  /** The step as it is planned. */
  readonly graph: Graph;
  readonly plan: StepPlan;
  /** The node that each step of the plan computes. */
  readonly origins: readonly Node[];
  readonly log: readonly PassLog[];
  /** What is computed twice to save memory, if anything: `12 of 16 blocks: 3.10 GiB instead of 9.80 GiB`. */
  readonly recomputed?: string;
}

export interface PlanOptions extends TwinOptions {
  /** Bytes of device memory to use at most: activations are recomputed rather than kept where that is needed. */
  readonly memory?: number;
}

export function planStep(step: StepGraph, target: Target, options: PlanOptions = {}): PlannedStep {
  const { graph, log } = optimizeStep(step.graph, residentsOf(step.graph), target);
  const optimized = { ...step, graph };
  const planned = lowerStep(optimized, target);
  const memory = totalOf(planned.plan, options);
  const { memory: available = Infinity } = options;
  if (memory <= available) return { ...planned, graph, log };

  // What is trained and what is constant stays; the rest of the budget is for what a step computes.
  const persistence = persistenceOf(optimized);
  const forward = [...graph.outputs.slice(0, step.losses.length), ...graph.updates.map(({ value }) => value)];
  const { planned: computed, mirrors } = layOut(planned.plan, options).memory;
  const rest = memory - (computed - mirrors);
  const less = recompute(graph, forward, available - rest, (one) => plannedBytes(one, target, persistence));
  const recomputed = lowerStep({ ...optimized, graph: verify(less.graph, 'recomputation') }, target);
  const needed = totalOf(recomputed.plan, options);
  if (needed > available) {
    fail(`a training step of ${graph.name} needs at least ${printBytes(needed)}`, {
      notes: [
        `that is with activations computed twice; without, it needs ${printBytes(memory)}`,
        `there are ${printBytes(available)}`,
      ],
      help: SMALLER,
    });
  }
  const did = `${less.blocks} of ${less.of} blocks: ${printBytes(needed)} instead of ${printBytes(memory)}`;
  return { ...recomputed, graph: less.graph, log: [...log, { pass: 'recompute', did }], recomputed: did };
}

/** Bytes of all that a step needs. */
function totalOf(plan: StepPlan, options: TwinOptions): number {
  const { planned, constants, arenas } = layOut(plan, options).memory;
  return planned + constants + arenas;
}

/** The parameters that a step changes: what is trained, and state. */
export function residentsOf({ params, updates }: Graph): Set<Ref> {
  const trained = params.filter(({ trainable }) => trainable).map(({ ref }) => ref);
  return new Set([...trained, ...updates.map(({ param }) => param)]);
}

/** `step.graph` may be optimized: its outputs are in the order of its losses and gradients. */
export function lowerStep(step: StepGraph, target: Target): Pick<PlannedStep, 'plan' | 'origins'> {
  const { plan, origins } = lower(step.graph, target, persistenceOf(step));
  const outputs = plan.outputs.map((port, i) => ({ ...port, name: step.losses[i]! }));
  return { plan: { ...plan, outputs, ...placeResidents(step.graph) }, origins };
}

function persistenceOf({ graph, losses, gradients }: StepGraph): Persistence {
  const outputs = graph.outputs.slice(losses.length);
  return {
    residents: new Map(placeResidents(graph).residents.map(({ name }, i) => [`@${name}`, i])),
    gradients: new Map([...gradients.keys()].map((param, i) => [param, outputs[i]!])),
  };
}

function placeResidents(graph: Graph): Pick<StepPlan, 'arenas' | 'residents'> {
  const wanted = residentsOf(graph);
  const arenas: { -readonly [K in keyof Arena]: Arena[K] }[] = [];
  const residents = graph.params
    .filter(({ ref }) => wanted.has(ref))
    .map(({ ref, type, trainable }: Param): Resident => {
      const name = ref.slice(1);
      const network = name.slice(0, name.indexOf('.'));
      let arena = arenas.findIndex((other) => other.network === network && other.trained === trainable);
      if (arena < 0) arena = arenas.push({ network, trained: trainable, bytes: 0 }) - 1;
      const [shape, packing] = [type.shape as readonly number[], packingOf(type)];
      const offset = arenas[arena]!.bytes;
      arenas[arena]!.bytes += roundUp(4 * packedLength(packing, shape), ALIGNMENT);
      return { name, shape, packing, arena, offset };
    });
  return { arenas, residents };
}
