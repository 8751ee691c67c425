// The passes in their order, read aloud. Each says what it did; the verifier runs after each that did something.

import type { Graph, Ref } from '../graph.js';
import { type Counted, eliminateDead, type Rule, rewrite } from '../rewrite.js';
import type { Target } from '../target.js';
import { verify } from '../verify.js';
import { algebra } from './algebra.js';
import { splitSums, upsampledConvs, weightGradients } from './backward.js';
import { flatten, nestConcats } from './concats.js';
import { shareCommon } from './cse.js';
import { factors } from './factors.js';
import { fuseKernels, fuseMap, fuseStores } from './fuse.js';
import { accumulate, delayFactors } from './linear.js';
import { fuseSums, repeatMaps } from './maps.js';
import { fuseRanges } from './ranges.js';
import { foldAffine, phases } from './simplify.js';

export interface PassLog {
  readonly pass: string;
  /** `23 x fold-channel-scale`, or `(unchanged)`. */
  readonly did: string;
}

type Pass = (graph: Graph, residents: ReadonlySet<Ref>) => { graph: Graph; did: string };
type Passes = readonly (readonly [name: string, pass: Pass])[];

const dropUnused = counting('nodes', withoutUnused);
const shareSubexpressions = counting('nodes', shareCommon);

const INFERENCE: Passes = [
  ['drop unused nodes', dropUnused],
  ['share common subexpressions', shareSubexpressions],
  ['flatten concats', rules(flatten)],
  ['fold batch norm into convs', rules(foldAffine)],
  ['nearest x2 + conv3x3 as four 2x2 convs', rules(phases)],
  ['fuse into conv epilogues and stores', rules([...fuseKernels, ...fuseStores])],
  ['fuse pointwise chains', rules(fuseMap)],
];

/** What an interchange format can say: without phases and shuffled stores, which only our own kernels know. */
const EXCHANGE: Passes = [
  ['drop unused nodes', dropUnused],
  ['share common subexpressions', shareSubexpressions],
  ['flatten concats', rules(flatten)],
  ['fold batch norm into convs', rules(foldAffine)],
  ['fuse into conv epilogues', rules(fuseKernels)],
];

const ACCUMULATE: Passes[number] = ['add gradients one by one', rules(accumulate)];

const training = (target: Target): Passes => [
  ['drop unused nodes', dropUnused],
  ['share common subexpressions', shareSubexpressions],
  ['simplify what differentiation left', rules(algebra)],
  ['factor vectors out of sums', rules(factors)],
  ['stack batches for large weights', rules(weightGradients)],
  ['split sums in two halves', counting('sums', (graph) => splitSums(graph, target))],
  ['share common subexpressions', shareSubexpressions],
  ['multiply by numbers later', counting('factors', delayFactors)],
  ['flatten concats', rules(flatten)],
  // k / s is beyond f16 where s is the 5e-3 of an adversarial loss.
  ...(target.precision === 'f32' ? [ACCUMULATE] : []),
  ['fuse into epilogues', rules(fuseKernels)],
  ['fuse what slices are for', counting('slices', fuseRanges)],
  ['fuse pointwise chains', rules(fuseMap)],
  ['repeat cheap chains', counting('maps', repeatMaps)],
  ['fuse into sums', rules(fuseSums)],
];

/** Of a step's forward pass, before differentiation. */
const FORWARD: Passes = [
  ['drop unused nodes', dropUnused],
  ['share common subexpressions', shareSubexpressions],
  ['nest concats', counting('concats', nestConcats)],
  ['nearest x2 + conv3x3 as the adjoint of a conv', rules(upsampledConvs)],
];

export interface Optimized {
  readonly graph: Graph;
  readonly log: PassLog[];
}

type OnPass = (name: string, graph: Graph) => void;

/** Optimizes a network for inference: parameters are constants. `onPass` sees the graph after each pass. */
export function optimize(graph: Graph, onPass?: OnPass): Optimized {
  return run(INFERENCE, graph, new Set(), onPass);
}

/** Optimizes a network for export: parameters are constants, and every op has an ONNX form. */
export function optimizeForExchange(graph: Graph): Graph {
  return run(EXCHANGE, graph, new Set()).graph;
}

/** Optimizes a training step for a device: `residents` change from step to step. */
export function optimizeStep(
  graph: Graph,
  residents: ReadonlySet<Ref>,
  target: Target,
  onPass?: OnPass,
): Optimized {
  return run(training(target), graph, residents, onPass);
}

/** Prepares the forward pass of a training step for differentiation. */
export function prepareStep(graph: Graph): Optimized {
  return run(FORWARD, graph, new Set());
}

function run(passes: Passes, graph: Graph, residents: ReadonlySet<Ref>, onPass?: OnPass): Optimized {
  const log: PassLog[] = [];
  let current = graph;
  for (const [name, pass] of passes) {
    const result = pass(current, residents);
    if (result.graph !== current) current = verify(result.graph, name);
    log.push({ pass: name, did: result.did });
    onPass?.(name, current);
  }
  return { graph: current, log };
}

function rules(table: readonly Rule[]): Pass {
  return (graph, residents) => {
    const { graph: result, applied } = rewrite(graph, table, residents);
    return { graph: result, did: report([...applied].map(([rule, times]) => `${times} x ${rule}`)) };
  };
}

function withoutUnused(graph: Graph): Counted {
  const result = eliminateDead(graph);
  return { graph: result, count: graph.nodes.length - result.nodes.length };
}

/** A pass that counts what it changes; a graph in which that is nothing stays that graph. */
function counting(what: string, pass: (graph: Graph) => Counted): Pass {
  return (graph) => {
    const { graph: result, count } = pass(graph);
    return count ? { graph: result, did: `${count} ${what}` } : { graph, did: report([]) };
  };
}

function report(parts: readonly string[]): string {
  return parts.length ? parts.join(', ') : '(unchanged)';
}
