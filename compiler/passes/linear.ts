// What is linear in a gradient lets its factors through, and its sums wait. A residual's scale becomes a number in the
// epilogues of the kernels that read the gradient, where it was an image; and a kernel that adds to a sum of gradients
// adds each of them itself.

import type { Graph, Node, Ref } from '../graph.js';
import { results, useCounts } from '../graph.js';
import { isPointwise } from '../ops/pointwise.js';
import { sameShape } from '../ops/types.js';
import { type Counted, eliminateDead, type Rule, type RuleContext } from '../rewrite.js';
import { isKernel } from './fuse.js';

/** Ops that are linear in their first operand; the gradient of weights is in both. */
const LINEAR: ReadonlySet<string> = new Set([
  'conv2d',
  'conv2d_dgrad',
  'conv2d_wgrad_parts',
  'sum_parts',
  'sum_columns',
  'sum_rows',
  'reduce_sum',
  'reduce_mean',
  'pixel_shuffle',
  'pixel_unshuffle',
  'slice',
]);

function isLinear({ op, inputs }: Node, of: Ref): boolean {
  const uses = inputs.filter((input) => input === of).length;
  return LINEAR.has(op) && uses === 1 && (inputs[0] === of || op === 'conv2d_wgrad_parts');
}

/** By what an image is multiplied, where it is multiplied by a number. */
function factorOf({ op, attrs, type }: Node): number | undefined {
  if (type.shape.length !== 4) return undefined;
  return op === 'scale' ? Number(attrs.by) : op === 'neg' ? -1 : undefined;
}

/**
 * Multiplies by a number after the kernels that read an image instead of before, if all who read it can wait. A factor
 * that a kernel before it takes for nothing stays.
 */
export function delayFactors(graph: Graph): Counted {
  const defs = new Map(graph.nodes.map((node) => [node.ref, node]));
  const users = new Map<Ref, Node[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(node.inputs)) users.set(input, [...(users.get(input) ?? []), node]);
  }
  const kept = new Set(results(graph));
  const uses = useCounts(graph);
  const waits = (ref: Ref): boolean => {
    const all = users.get(ref) ?? [];
    const pass = (node: Node) => isLinear(node, ref) && (isKernel(node.op) || waits(node.ref));
    return !kept.has(ref) && all.every(pass);
  };
  const isFree = (ref: Ref) => {
    const { op } = defs.get(ref) ?? {};
    return op !== undefined && uses.get(ref) === 1 && (isKernel(op) || isPointwise(op));
  };

  const owed = new Map<Ref, number>();
  const renamed = new Map<Ref, Ref>();
  let count = 0;
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const by = factorOf(node);
    const [x] = node.inputs as [Ref];
    if (by !== undefined && !isFree(x) && waits(node.ref)) {
      owed.set(node.ref, by * (owed.get(x) ?? 1));
      renamed.set(node.ref, renamed.get(x) ?? x);
      count++;
      return [];
    }
    const factor = node.inputs.reduce((product, input) => product * (owed.get(input) ?? 1), 1);
    const inputs = node.inputs.map((input) => renamed.get(input) ?? input);
    if (factor === 1) return [{ ...node, inputs }];
    if (isKernel(node.op)) {
      const plain = { ...node, ref: `${node.ref}p`, inputs };
      return [plain, { ...node, op: 'scale', inputs: [plain.ref], attrs: { by: factor } }];
    }
    owed.set(node.ref, factor);
    return [{ ...node, inputs }];
  });
  return { graph: eliminateDead({ ...graph, nodes }), count };
}

/** Whether `ref` will be the end of a kernel's epilogue. */
function isInKernel(ref: Ref, context: RuleContext): boolean {
  const node = context.def(ref);
  if (!node || !context.usedOnce(ref)) return false;
  return isKernel(node.op) || (isPointwise(node.op) && isInKernel(node.inputs[0]!, context));
}

/** 1 / by, where that is a number of f32. */
function inverse(by: number): number | undefined {
  return Number.isFinite(Math.fround(1 / by)) ? 1 / by : undefined;
}

/** x + s * v = (x / s + v) * s for a vector v: no kernel for the product alone. */
const scaledVector: Rule = {
  name: 'scaled-vector',
  apply({ op, inputs, type, loc }, context) {
    const [x, product] = inputs as [Ref, Ref];
    const node = context.def(product ?? '');
    const by = inverse(Number(node?.attrs.by));
    if (op !== 'add' || node?.op !== 'scale' || by === undefined || !context.usedOnce(product))
      return undefined;
    if (type.shape.length !== 4 || node.type.shape.length !== 1) return undefined;
    const sum = [context.emit('scale', [x], { by }, loc), node.inputs[0]!];
    return context.emit('scale', [context.emit('add', sum, {}, loc)], node.attrs, loc);
  },
};

/** k + (a + b) = k + a + b and k + s * a = (k / s + a) * s, where a kernel makes k but nothing of what is added. */
const addOneByOne: Rule = {
  name: 'add-one-by-one',
  apply({ op, inputs, loc }, context) {
    if (op !== 'add') return undefined;
    for (const [k, sum] of [inputs, inputs.toReversed()] as [Ref, Ref][]) {
      const node = context.def(sum);
      const by = node && factorOf(node);
      const inverted = by && inverse(by);
      if (!node || !context.usedOnce(sum) || !isInKernel(k, context) || isInKernel(sum, context)) continue;
      if (!sameShape(context.type(k).shape, node.type.shape)) continue;
      const add = (to: Ref, ref: Ref) => context.emit('add', [to, ref], {}, loc);
      const scale = (ref: Ref, factor: number) => context.emit('scale', [ref], { by: factor }, loc);
      if (node.op === 'add') return add(add(k, node.inputs[0]!), node.inputs[1]!);
      if (by && inverted) return scale(add(scale(k, inverted), node.inputs[0]!), by);
    }
    return undefined;
  },
};

export const accumulate: readonly Rule[] = [scaledVector, addOneByOne];
