// Losses: each is lowered to one scalar graph per player, from `%sr` and `%hr`.

import { GraphBuilder } from '../compiler/builder.js';
import type { Graph, Ref } from '../compiler/graph.js';
import { fail, type Span } from '../diagnostics.js';
import type { Expr } from './ast.js';
import { loweringInto } from './body.js';
import { expressionText } from './format-expressions.js';
import { force, lossNamed, operand } from './loss-expressions.js';
import { arithmetic, type Operand, printTensor } from './loss-functions.js';
import {
  type LossContext,
  type Objective,
  type Player,
  placeAt,
  type Scope,
  scopeOf,
} from './loss-objective.js';
import { imageType } from './signature.js';

/**
 * What each player minimises: graphs from `%sr` and `%hr` to a scalar and then its terms, in training form. Networks'
 * parameters carry their names (`@critic.conv.weight`).
 */
export interface Loss {
  readonly name: string;
  /** As it was written where it is minimised: `edges(weight=0.5)`. */
  readonly text: string;
  readonly generator: Graph;
  /** Present when the loss has an adversarial term. Weights of terms apply to the generator only. */
  readonly discriminator?: Graph;
  /** What the outputs after the first are, as written: `0.1 * perceptual(vgg.conv1_2)`. None for a single term. */
  readonly terms: Readonly<Record<Player, readonly string[]>>;
  /** The networks it applies. */
  readonly networks: readonly string[];
  /** Whether it compares with the sharpened original: graphs that do have the input `%usm` too. */
  readonly sharpened: boolean;
}

/** A summand of an objective. */
interface Term {
  readonly text: string;
  readonly ref: Ref;
}

/** The loss that `expr` is. */
export function lowerLoss(name: string, expr: Expr, context: LossContext): Loss {
  const own = begin(name, 'generator', context);
  const ownTerms: Term[] = [];
  const generator = finish(own, bySummands(ownTerms)(own, scopeOf(own), expr), ownTerms, expr.span);

  const other = begin(name, 'discriminator', context);
  const otherTerms: Term[] = [];
  const totals = own.adversarial.map((criterion) =>
    force(other, scopeOf(other), criterion, expr.span, bySummands(otherTerms)),
  );
  const place = placeAt(other, expr.span);
  const total = totals.length > 0 && totals.reduce((sum, value) => arithmetic(place, '+', sum, value));

  const applications = [...own.applications.values(), ...other.applications.values()];
  return {
    name,
    text: expressionText(expr),
    generator,
    ...(total !== false && { discriminator: finish(other, total, otherTerms, expr.span) }),
    terms: { generator: told(ownTerms).map(textOf), discriminator: told(otherTerms).map(textOf) },
    networks: [...new Set(applications.map(({ network }) => network))],
    sharpened: own.usm !== undefined || other.usm !== undefined,
  };
}

function begin(name: string, player: Player, context: LossContext): Objective {
  const builder = new GraphBuilder(`${name}_${player}`);
  const type = imageType(context.image);
  return {
    context,
    player,
    lowering: loweringInto(builder, context.source),
    sr: builder.input('sr', type),
    hr: builder.input('hr', type),
    applications: new Map(),
    adversarial: [],
    within: [],
    depth: 0,
  };
}

/** Evaluates an expression and notes its summands; a loss that is only named is told by what it says. */
function bySummands(terms: Term[]) {
  return function evaluate(objective: Objective, scope: Scope, expr: Expr): Operand {
    const named = lossNamed(objective, scope, expr);
    return named
      ? force(objective, scope, named, expr.span, evaluate)
      : sum(objective, scope, expr, { terms, sign: 1 });
  };
}

interface Summing {
  readonly terms: Term[];
  readonly sign: 1 | -1;
}

function sum(objective: Objective, scope: Scope, expr: Expr, { terms, sign }: Summing): Operand {
  const place = placeAt(objective, expr.span);
  if (expr.kind === 'binary' && (expr.op === '+' || expr.op === '-')) {
    const left = sum(objective, scope, expr.left, { terms, sign });
    const right = sum(objective, scope, expr.right, { terms, sign: expr.op === '+' ? sign : flipped(sign) });
    return arithmetic(place, expr.op, left, right);
  }
  const value = operand(objective, scope, expr);
  if (typeof value === 'object') {
    const ref = sign < 0 ? place.emit('neg', [value.ref]) : value.ref;
    terms.push({ text: (sign < 0 ? '-' : '') + expressionText(expr), ref });
  }
  return value;
}

function flipped(sign: 1 | -1): 1 | -1 {
  return sign === 1 ? -1 : 1;
}

/** One term is the whole. */
function told(terms: readonly Term[]): readonly Term[] {
  return terms.length > 1 ? terms : [];
}

const textOf = ({ text }: Term) => text;

function finish(
  { lowering: { builder } }: Objective,
  value: Operand,
  terms: readonly Term[],
  span: Span,
): Graph {
  if (typeof value !== 'object')
    return fail('a loss must depend on the image', { span, label: `this is ${value}` });
  const type = builder.type(value.ref);
  if (type.shape.length === 0) return builder.finish([value.ref, ...told(terms).map(({ ref }) => ref)]);
  return fail('a loss must be one number', {
    span,
    label: `this is ${printTensor(type)}`,
    help: 'take its mean(…)',
  });
}
