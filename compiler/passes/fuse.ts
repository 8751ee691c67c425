// Fusion: pointwise work moves into the epilogue of the kernel that makes its operand (bias, activation, residual scale
// and skip adds; of a gradient, the activation's mask), a pixel shuffle into the conv's store, and what is left of
// pointwise chains into `map` kernels. The fused node stands where the last of it stood: all its operands exist by then.

import type { Attrs, Node, Ref } from '../graph.js';
import { type EpilogueStep, epilogueOf, printStep } from '../ops/epilogue.js';
import { isPointwise, pointwiseAttr } from '../ops/pointwise.js';
import { opNamed } from '../ops/registry.js';
import { sameShape } from '../ops/types.js';
import type { Rule, RuleContext } from '../rewrite.js';

/** Storage buffers that a kernel may bind on every device; one of them is the result. */
export const MAX_BINDINGS = 8;

export const COMMUTATIVE: ReadonlySet<string> = new Set(['add', 'mul', 'maximum', 'minimum']);

/** `into` with `node` at the end of its epilogue; the operand `at` becomes the value in registers. */
function absorb(node: Node, at: number, into: Node, context: RuleContext): Ref | undefined {
  const attr = pointwiseAttr(node.op, node.attrs);
  const other = node.inputs[1 - at];
  const inputs = [...into.inputs];
  let step: EpilogueStep = { op: node.op, ...(attr !== undefined && { attr }) };
  if (other !== undefined) {
    const swapped = at === 1 && !COMMUTATIVE.has(node.op);
    step = { ...step, operand: inputs.length, ...(swapped && { swapped }) };
    inputs.push(other);
  }
  if (inputs.length >= MAX_BINDINGS) return undefined;
  const epilogue = [...epilogueOf(into.attrs), step].map(printStep);
  return context.emit(into.op, inputs, { ...into.attrs, epilogue }, into.loc ?? node.loc);
}

/** The node that takes `node` into its epilogue: a head whose result, of the same shape, nothing else reads. */
function absorbInto(isHead: (op: string) => boolean, node: Node, context: RuleContext): Ref | undefined {
  const heads = node.inputs.flatMap((ref, at) => {
    const into = context.def(ref);
    const fits = into && isHead(into.op) && context.usedOnce(ref);
    return fits && sameShape(into.type.shape, node.type.shape) ? [{ at, into }] : [];
  });
  // Of two the one that is made last: neither has to wait for the other.
  heads.sort((a, b) => context.place(b.into.ref) - context.place(a.into.ref));
  for (const { at, into } of heads) {
    const fused = absorb(node, at, into, context);
    if (fused !== undefined) return fused;
  }
  return undefined;
}

const isMap = (op: string) => op === 'map';
export const isKernel = (op: string) => op !== 'map' && opNamed(op).operands !== undefined;

/** Pointwise on activations; what depends on parameters alone is computed when they are loaded. */
function isDeviceMap({ op, inputs }: Node, { isConstant }: RuleContext): boolean {
  return isPointwise(op) && !inputs.every(isConstant);
}

const intoKernel: Rule = {
  name: 'epilogue',
  apply: (node, context) => (isDeviceMap(node, context) ? absorbInto(isKernel, node, context) : undefined),
};

/** A conv whose epilogue holds only per-channel steps stores its pixels shuffled. */
const shuffleStore: Rule = {
  name: 'shuffle-store',
  apply(node, context) {
    const conv = context.def(node.inputs[0] ?? '');
    if (
      node.op !== 'pixel_shuffle' ||
      conv?.op !== 'conv2d' ||
      conv.attrs.phases ||
      !context.usedOnce(conv.ref)
    ) {
      return undefined;
    }
    const [x, w, ...operands] = conv.inputs as [Ref, Ref, ...Ref[]];
    if (![w, ...operands].every(context.isConstant)) return undefined;
    const attrs: Attrs = { factor: node.attrs.factor! };
    const shuffled = [w, ...operands].map((ref) => context.emit('shuffle_rows', [ref], attrs, node.loc));
    const factor = Number(node.attrs.factor);
    return context.emit(
      'conv2d',
      [x, ...shuffled],
      { ...conv.attrs, phases: factor * factor, shift: 0 },
      conv.loc,
    );
  },
};

const intoMap: Rule = {
  name: 'map',
  apply(node, context) {
    if (!isDeviceMap(node, context)) return undefined;
    const first: Node = { ...node, op: 'map', inputs: [node.inputs[0]!], attrs: {} };
    return absorbInto(isMap, node, context) ?? absorb(node, 0, first, context);
  },
};

export const fuseKernels: readonly Rule[] = [intoKernel];
export const fuseStores: readonly Rule[] = [shuffleStore];
export const fuseMap: readonly Rule[] = [intoMap];
