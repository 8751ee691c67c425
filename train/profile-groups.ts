// The parts of a training step, for its profile: what is computed forwards, what the losses add, what the gradients of
// activations and of weights cost.

import type { Node, Ref } from '../compiler/graph.js';
import { printLoc } from '../diagnostics.js';
import type { Step } from '../runtime/plan.js';
import type { PlannedStage } from './stages.js';

/** `dgrad` and `wgrad`: the gradients of activations, and of what is trained. The runtime adds `optimizer`. */
export type StepGroup = 'forward' | 'recomputed' | 'losses' | 'dgrad' | 'wgrad';

export function stepGroups(planned: PlannedStage): (step: Step) => StepGroup {
  const { plan, origins } = planned;
  const forward = forwardOf(planned);
  const repeated = repeatedOf(planned);
  const inNetworks = placesOf(planned);
  const groupOf = (node: Node): StepGroup => {
    if (!node.loc || !inNetworks.has(printLoc(node.loc))) return 'losses';
    if (forward.has(node.ref)) return 'forward';
    if (repeated.has(node.ref)) return 'recomputed';
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

/** Values that are those of earlier nodes; only recomputation leaves such nodes. A copy has the value of its operand. */
function repeatedOf({ graph }: PlannedStage): ReadonlySet<Ref> {
  const firsts = new Map<string, Ref>();
  const repeated = new Map<Ref, Ref>();
  for (const { ref, op, inputs, attrs } of graph.nodes) {
    const operands = inputs.map((input) => repeated.get(input) ?? input);
    const key = JSON.stringify([op, operands, attrs]);
    const first = op === 'detach' ? operands[0] : firsts.get(key);
    if (first === undefined) firsts.set(key, ref);
    else repeated.set(ref, first);
  }
  return new Set(repeated.keys());
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
