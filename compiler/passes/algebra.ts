// Algebra that differentiation leaves behind: the seed 1 and the counts of means become constants of pointwise rows,
// values spread over an image become broadcast operands, signs and factors meet, and the mean of what is centred
// already is known. Exact in real arithmetic; each rule saves a kernel or makes room for a rule that does.

import { isSymbolic, printDim } from '../../runtime/dims.js';
import { POINTWISE } from '../../runtime/kernels/pointwise.js';
import type { Node, Ref } from '../graph.js';
import { isPointwise, pointwiseAttr } from '../ops/pointwise.js';
import { divisorOf } from '../ops/reduce.js';
import { sameShape } from '../ops/types.js';
import type { Rule, RuleContext } from '../rewrite.js';

function defOf(ref: Ref | undefined, op: string, context: RuleContext): Node | undefined {
  const node = ref === undefined ? undefined : context.def(ref);
  return node?.op === op ? node : undefined;
}

/** The value of a scalar that the graph spells out. */
function literalOf(ref: Ref | undefined, context: RuleContext): number | undefined {
  const node = defOf(ref, 'constant', context);
  return node?.type.shape.length === 0 ? (node.attrs.values as readonly number[])[0] : undefined;
}

function rankOf(ref: Ref, context: RuleContext): number {
  return context.type(ref).shape.length;
}

const foldLiterals: Rule = {
  name: 'fold-literals',
  apply(node, context) {
    if (!isPointwise(node.op)) return undefined;
    const [a, b = 0] = node.inputs.map((ref) => literalOf(ref, context));
    if (a === undefined || (node.inputs.length > 1 && literalOf(node.inputs[1], context) === undefined))
      return undefined;
    const value = POINTWISE[node.op]!.reference(a, b, pointwiseAttr(node.op, node.attrs) ?? 0);
    return context.emit('constant', [], { values: [value], shape: [] }, node.loc);
  },
};

/** t * 3 = scale(t), and so on: no operand to bind. */
const literalOperand: Rule = {
  name: 'literal-operand',
  apply({ op, inputs, loc }, context) {
    const value = literalOf(inputs[1], context);
    if (value === undefined) return undefined;
    const row = {
      mul: ['scale', value],
      div: ['scale', 1 / value],
      add: ['offset', value],
      sub: ['offset', 0 - value],
    } as const;
    const found = op in row ? row[op as keyof typeof row] : undefined;
    return found && context.emit(found[0], [inputs[0]!], { by: found[1] }, loc);
  },
};

/** What holds gradients back, 1 * x, 0 + x, 0 * x, -(-x), and factors one after another. */
const units: Rule = {
  name: 'units',
  apply({ op, inputs, attrs, type, loc }, context) {
    const [x] = inputs as [Ref];
    const by = op === 'neg' ? -1 : Number(attrs.by);
    if (op === 'detach') return x;
    if (op === 'offset') return by === 0 ? x : undefined;
    if (op !== 'scale' && op !== 'neg') return undefined;
    if (by === 1) return x;
    if (by === 0) {
      const zero = context.emit('constant', [], { values: [0], shape: [] }, loc);
      return spreadOver(zero, type.shape, context, loc);
    }
    const inner = defOf(x, 'scale', context) ?? defOf(x, 'neg', context);
    if (!inner) return undefined;
    return context.emit(
      'scale',
      inner.inputs,
      { by: by * (inner.op === 'neg' ? -1 : Number(inner.attrs.by)) },
      loc,
    );
  },
};

function spreadOver(value: Ref, shape: Node['type']['shape'], context: RuleContext, loc: Node['loc']): Ref {
  return shape.length === 0
    ? value
    : context.emit('expand', [value], { mean: false, shape: shape.map(printDim) }, loc);
}

const signs: Rule = {
  name: 'signs',
  apply({ op, inputs, loc }, context) {
    const [a, b] = inputs as [Ref, Ref];
    if (op !== 'add' && op !== 'sub') return undefined;
    const right = defOf(b, 'neg', context);
    if (right) return context.emit(op === 'add' ? 'sub' : 'add', [a, right.inputs[0]!], {}, loc);
    const left = defOf(a, 'neg', context);
    if (op === 'sub' || !left || !sameShape(context.type(a).shape, context.type(b).shape)) return undefined;
    return context.emit('sub', [b, left.inputs[0]!], {}, loc);
  },
};

/** A mean's gradient is divided before it is spread. */
const divideFirst: Rule = {
  name: 'divide-first',
  apply({ op, inputs, attrs, type: { shape }, loc }, context) {
    const [value] = inputs as [Ref];
    if (op !== 'expand' || !attrs.mean || shape.some(isSymbolic)) return undefined;
    const keep = rankOf(value, context) === 1 ? 'channel' : 'none';
    const by = 1 / divisorOf(shape as readonly number[], { ...attrs, keep });
    return spreadOver(context.emit('scale', [value], { by }, loc), shape, context, loc);
  },
};

/** The vector or scalar that `ref` repeats. */
function spreadValue(ref: Ref | undefined, context: RuleContext): Ref | undefined {
  const node = defOf(ref, 'expand', context);
  return node && !node.attrs.mean ? node.inputs[0] : undefined;
}

/** Pointwise work on a spread value: on the value itself, or as a broadcast operand. */
const broadcast: Rule = {
  name: 'broadcast',
  apply({ op, inputs, attrs, type, loc }, context) {
    if (!isPointwise(op)) return undefined;
    const [a, b] = inputs as [Ref, Ref?];
    const [left, right] = [spreadValue(a, context), spreadValue(b, context)];
    if (left !== undefined && (b === undefined || rankOf(b, context) <= rankOf(left, context))) {
      return spreadOver(
        context.emit(op, b === undefined ? [left] : [left, b], attrs, loc),
        type.shape,
        context,
        loc,
      );
    }
    if (right !== undefined) return context.emit(op, [a, right], attrs, loc);
    if (left === undefined || b === undefined || !sameShape(context.type(b).shape, type.shape))
      return undefined;
    if (op === 'add' || op === 'mul') return context.emit(op, [b, left], {}, loc);
    if (op === 'sub') return context.emit('add', [context.emit('neg', [b], {}, loc), left], {}, loc);
    if (op === 'relu_grad') return context.emit('mul', [context.emit('step', [b], {}, loc), left], {}, loc);
    return undefined;
  },
};

/** t * (c * s) = c * (t * s) for an input or parameter s: no kernel for their product. */
const factorOfOperand: Rule = {
  name: 'factor-of-operand',
  apply({ op, inputs, loc }, context) {
    const [t, s] = inputs as [Ref, Ref];
    if (op !== 'mul' || rankOf(s, context) >= rankOf(t, context) || !context.usedOnce(s)) return undefined;
    const scale = defOf(s, 'scale', context);
    if (!scale || context.def(scale.inputs[0]!)) return undefined;
    return context.emit('scale', [context.emit('mul', [t, scale.inputs[0]!], {}, loc)], scale.attrs, loc);
  },
};

/**
 * a * x + b * y = a * (y * b / a + x) for vectors and scalars, or the other way round: one chain, in which running
 * statistics x change in place. It begins with y, which a sum may make, or with what became of x before.
 */
const weightedSum: Rule = {
  name: 'weighted-sum',
  apply({ op, inputs, type, loc }, context) {
    const [x, y] = inputs.map((ref) => (context.usedOnce(ref) ? defOf(ref, 'scale', context) : undefined));
    if (op !== 'add' || type.shape.length > 1 || !x || !y) return undefined;
    if (!sameShape(x.type.shape, y.type.shape)) return undefined;
    const [first, second] = context.def(x.inputs[0]!) ? [x, y] : [y, x];
    const by = Number(second.attrs.by);
    if (by === 0) return undefined;
    const scaled = context.emit('scale', first.inputs, { by: Number(first.attrs.by) / by }, loc);
    return context.emit('scale', [context.emit('add', [scaled, second.inputs[0]!], {}, loc)], { by }, loc);
  },
};

/** sum(-x) and sum(c * x), where nothing else needs the product. */
const factorOfSum: Rule = {
  name: 'factor-of-sum',
  apply({ op, inputs, attrs, loc }, context) {
    const [x] = inputs as [Ref];
    const inner = defOf(x, 'scale', context) ?? defOf(x, 'neg', context);
    if ((op !== 'reduce_sum' && op !== 'reduce_mean') || !inner || !context.usedOnce(x)) return undefined;
    return context.emit(inner.op, [context.emit(op, inner.inputs, attrs, loc)], inner.attrs, loc);
  },
};

/** x minus its own mean per channel. */
function isCentred(ref: Ref, context: RuleContext): boolean {
  const centred = defOf(ref, 'sub', context);
  const mean = defOf(centred?.inputs[1], 'reduce_mean', context);
  return mean?.attrs.keep === 'channel' && !mean.attrs.ddof && mean.inputs[0] === centred?.inputs[0];
}

/**
 * The gradient of a batch's mean: sum(g * s + centred * v) = s * sum(g) for vectors s and v, since what is centred
 * sums to 0. Batch norm needs sum(g) anyway, as the gradient of its bias.
 */
const centredSum: Rule = {
  name: 'centred-sum',
  apply({ op, inputs, attrs, loc }, context) {
    if (op !== 'reduce_sum' || attrs.keep !== 'channel') return undefined;
    const terms = defOf(inputs[0], 'add', context)?.inputs.map((ref) => defOf(ref, 'mul', context)) ?? [];
    const isVector = (ref: Ref | undefined) => ref !== undefined && rankOf(ref, context) === 1;
    if (terms.length !== 2 || !terms.every((term) => isVector(term?.inputs[1]))) return undefined;
    const at = terms.findIndex((term) => isCentred(term!.inputs[0]!, context));
    const other = terms[1 - at];
    if (at < 0 || !other) return undefined;
    const sum = context.emit('reduce_sum', [other.inputs[0]!], attrs, loc);
    return context.emit('mul', [sum, other.inputs[1]!], {}, loc);
  },
};

export const algebra: readonly Rule[] = [
  foldLiterals,
  literalOperand,
  units,
  signs,
  divideFirst,
  broadcast,
  factorOfOperand,
  weightedSum,
  factorOfSum,
  centredSum,
];
