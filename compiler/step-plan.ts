// A training step as a plan: passes, the places of tensors that live from step to step, lowering. Each network has an
// arena for what is trained, with a twin for gradients, and one for its running statistics.

import { roundUp } from '../runtime/kernels/kernel.js';
import { ALIGNMENT, packedLength } from '../runtime/memory.js';
import type { Arena, Resident, StepPlan } from '../runtime/plan.js';
import type { Graph, Node, Param, Ref } from './graph.js';
import { packingOf } from './layout.js';
import { lower } from './lower.js';
import { optimizeStep, type PassLog } from './passes/pipeline.js';
import type { Target } from './target.js';
import type { StepGraph } from './training.js';

export interface PlannedStep {
  readonly plan: StepPlan;
  /** The node that each step of the plan computes. */
  readonly origins: readonly Node[];
  readonly log: readonly PassLog[];
}

export function planStep(step: StepGraph, target: Target): PlannedStep {
  const residents = residentsOf(step.graph);
  const { graph, log } = optimizeStep(step.graph, residents);
  return { ...lowerStep({ ...step, graph }, target), log };
}

/** The parameters that a step changes: what is trained, and state. */
export function residentsOf({ params, updates }: Graph): Set<Ref> {
  const trained = params.filter(({ trainable }) => trainable).map(({ ref }) => ref);
  return new Set([...trained, ...updates.map(({ param }) => param)]);
}

/** `step.graph` may be optimized: its outputs are in the order of its losses and gradients. */
function lowerStep({ graph, losses, gradients }: StepGraph, target: Target): Omit<PlannedStep, 'log'> {
  const places = placeResidents(graph);
  const outputs = graph.outputs.slice(losses.length);
  const { plan, origins } = lower(graph, target, {
    residents: new Map(places.residents.map(({ name }, i) => [`@${name}`, i])),
    gradients: new Map([...gradients.keys()].map((param, i) => [param, outputs[i]!])),
  });
  const named = plan.outputs.map((port, i) => ({ ...port, name: losses[i]! }));
  return { plan: { ...plan, outputs: named, ...places }, origins };
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
