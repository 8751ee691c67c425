// The parts of a training step, for its profile: what is computed forwards, what the losses add, what the gradients of
// activations and of weights cost.

import type { Node, Ref } from '../compiler/graph.js';
import { isRepeated } from '../compiler/recompute/repeat.js';
import { printLoc } from '../diagnostics.js';
import type { Step } from '../runtime/plan.js';
import type { PlannedStage } from './stages.js';

/** `dgrad` and `wgrad`: the gradients of activations, and of what is trained. The runtime adds `optimizer`. */
export type StepGroup = 'forward' | 'recomputed' | 'losses' | 'dgrad' | 'wgrad';

export function stepGroups(planned: PlannedStage): (step: Step) => StepGroup {
  const { plan, origins } = planned;
  const forward = forwardOf(planned);
  const inNetworks = placesOf(planned);
  const groupOf = (node: Node): StepGroup => {
    if (!node.loc || !inNetworks.has(printLoc(node.loc))) return 'losses';
    if (isRepeated(node.ref)) return 'recomputed';
    if (forward.has(node.ref)) return 'forward';
    return isSum(node) ? 'wgrad' : 'dgrad';
  };
  const groups = new Map(plan.steps.map((step, i) => [step, groupOf(origins[i]!)]));
  return (step) => groups.get(step)!;
}

/** All that the losses, and the new values of statistics, are made of. */
function forwardOf({ graph, step }: PlannedStage): ReadonlySet<Ref> {
  const losses = graph.outputs.slice(0, step.losses.length);
  const forward = new Set([...losses, ...graph.updates.map(({ value }) => value)]);
  for (const { ref, inputs } of graph.nodes.toReversed())
    if (forward.has(ref)) for (const input of inputs) forward.add(input);
  return forward;
}

/** Where the texts of the networks are; what comes from elsewhere is a loss. */
function placesOf({ program }: PlannedStage): ReadonlySet<string> {
  const nodes = program.networks.flatMap(({ training }) => training.nodes);
  return new Set(nodes.flatMap(({ loc }) => (loc ? [printLoc(loc)] : [])));
}

/** The gradients of weights, biases and statistics are sums over pixels; those of activations are images. */
function isSum({ op }: Node): boolean {
  return /^(conv2d_wgrad|sum_|reduce_)/.test(op);
}
