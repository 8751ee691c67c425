// Fusion: pointwise work moves into the epilogue of the conv that makes its operand (bias, activation, residual scale
// and skip adds), a pixel shuffle into the conv's store, and what is left of pointwise chains into `map` kernels.

import type { Attrs, Node, Ref } from '../graph.js';
import { type EpilogueStep, epilogueOf, isVector, printStep } from '../ops/epilogue.js';
import { isPointwise, pointwiseAttr } from '../ops/pointwise.js';
import { sameShape } from '../ops/types.js';
import type { Rule, RuleContext } from '../rewrite.js';

/** A kernel may bind 8 storage buffers on every device; weights and result take two, the input one. */
const MAX_EPILOGUE_OPERANDS = 5;

const COMMUTATIVE: ReadonlySet<string> = new Set(['add', 'mul', 'maximum', 'minimum']);

/** `into` with `node` at the end of its epilogue; the operand `at` becomes the value in registers. */
function absorb(node: Node, at: number, into: Node, context: RuleContext): Ref | undefined {
  const attr = pointwiseAttr(node.op, node.attrs);
  const other = node.inputs[1 - at];
  const inputs = [...into.inputs];
  let step: EpilogueStep = { op: node.op, ...(attr !== undefined && { attr }) };
  if (other !== undefined) {
    const type = context.type(other);
    if (!sameShape(type.shape, node.type.shape) && !(isVector(type) && context.isConstant(other)))
      return undefined;
    const swapped = at === 1 && !COMMUTATIVE.has(node.op);
    step = { ...step, operand: inputs.length, ...(swapped && { swapped }) };
    inputs.push(other);
  }
  const head = into.op === 'conv2d' ? 2 : 1;
  if (inputs.length - head > MAX_EPILOGUE_OPERANDS) return undefined;
  const epilogue = [...epilogueOf(into.attrs), step].map(printStep);
  return context.emit(into.op, inputs, { ...into.attrs, epilogue }, into.loc ?? node.loc);
}

/** The operand positions that can be the value in registers: one use, and of the result's own shape. */
function candidates(node: Node, context: RuleContext): number[] {
  return node.inputs.flatMap((ref, i) =>
    context.usedOnce(ref) && sameShape(context.type(ref).shape, node.type.shape) ? [i] : [],
  );
}

/** The node that takes `node` into its epilogue: one of `op`, whose result nothing else reads. */
function absorbInto(op: 'conv2d' | 'map', node: Node, context: RuleContext): Ref | undefined {
  // Of two the later one absorbs: the other's result is then an operand that already exists.
  for (const at of candidates(node, context).toReversed()) {
    const into = context.def(node.inputs[at]!);
    const fused = into?.op === op ? absorb(node, at, into, context) : undefined;
    if (fused !== undefined) return fused;
  }
  return undefined;
}

/** Pointwise on activations; what depends on parameters alone is computed when they are loaded. */
function isDeviceMap({ op, inputs }: Node, { isConstant }: RuleContext): boolean {
  return isPointwise(op) && !inputs.every(isConstant);
}

const intoConv: Rule = {
  name: 'epilogue',
  apply: (node, context) => (isDeviceMap(node, context) ? absorbInto('conv2d', node, context) : undefined),
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
    return absorbInto('map', node, context) ?? absorb(node, 0, first, context);
  },
};

export const fuseConv: readonly Rule[] = [intoConv, shuffleStore];
export const fuseMap: readonly Rule[] = [intoMap];
