// Factors that the terms of a sum share: x * (q * r) + y * q + c * q = (x * r + y + c) * q for vectors, which is one chain
// on one image, where before y * q was an image of its own. Batch norm's gradient comes to its usual form by it.

import type { Loc } from '../../diagnostics.js';
import type { Ref } from '../graph.js';
import type { Rule, RuleContext } from '../rewrite.js';

/** A product of vectors and scalars: `by` times all of `factors`. */
interface Product {
  readonly by: number;
  readonly factors: readonly Ref[];
}

function productOf(ref: Ref, context: RuleContext): Product {
  const node = context.def(ref);
  const product = (at: number) => productOf(node!.inputs[at]!, context);
  if (node?.op === 'mul') return times(product(0), product(1));
  if (node?.op === 'square') return times(product(0), product(0));
  if (node?.op === 'neg') return times(product(0), { by: -1, factors: [] });
  if (node?.op === 'scale') return times(product(0), { by: Number(node.attrs.by), factors: [] });
  return { by: 1, factors: [ref] };
}

function times(p: Product, q: Product): Product {
  return { by: p.by * q.by, factors: [...p.factors, ...q.factors] };
}

/** p / q, where all factors of q are among those of p. */
function quotient(p: Product, q: Product): Product | undefined {
  const factors = [...p.factors];
  for (const factor of q.factors) {
    const at = factors.indexOf(factor);
    if (at < 0) return undefined;
    factors.splice(at, 1);
  }
  return q.by === 0 ? undefined : { by: p.by / q.by, factors };
}

/** The product as a vector: what was made last comes first, which is how gradients say it. */
function emitProduct({ by, factors }: Product, context: RuleContext, loc?: Loc): Ref | undefined {
  const rank = (ref: Ref) => context.type(ref).shape.length;
  const made = (ref: Ref) => (context.def(ref) ? context.place(ref) : -1);
  const [first, ...rest] = [...factors].sort((a, b) => rank(b) - rank(a) || made(b) - made(a));
  if (first === undefined || rank(first) !== 1) return undefined;
  const all = rest.reduce((product, factor) => context.emit('mul', [product, factor], {}, loc), first);
  return by === 1 ? all : context.emit('scale', [all], { by }, loc);
}

/** The image and the vector of a product of both that nothing else reads. */
function scaledImage(ref: Ref, context: RuleContext): readonly [image: Ref, by: Ref] | undefined {
  const { op, inputs, type } = context.def(ref) ?? {};
  if (op !== 'mul' || type?.shape.length !== 4 || !context.usedOnce(ref)) return undefined;
  const [x, by] = inputs as [Ref, Ref];
  return context.type(by).shape.length === 1 ? [x, by] : undefined;
}

const commonFactor: Rule = {
  name: 'common-factor',
  apply({ op, inputs, loc }, context) {
    if (op !== 'add') return undefined;
    const [left, right] = inputs as [Ref, Ref];
    for (const [some, other] of [
      [left, right],
      [right, left],
    ] as const) {
      const shared = scaledImage(some, context);
      if (!shared) continue;
      const [y, q] = shared;
      const term = scaledImage(other, context);
      const isVector = context.type(other).shape.length === 1;
      if (!term && !isVector) continue;
      const ratio = quotient(productOf(term ? term[1] : other, context), productOf(q, context));
      const by = ratio && emitProduct(ratio, context, loc);
      if (by === undefined) continue;
      const sum = term
        ? context.emit('add', [context.emit('mul', [term[0], by], {}, loc), y], {}, loc)
        : context.emit('add', [y, by], {}, loc);
      return context.emit('mul', [sum, q], {}, loc);
    }
    return undefined;
  },
};

export const factors: readonly Rule[] = [commonFactor];
