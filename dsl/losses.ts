// Losses: each is lowered to one scalar graph per player, from `%sr` and `%hr`.

import { GraphBuilder } from '../compiler/builder.js';
import type { Graph } from '../compiler/graph.js';
import { fail, type Span } from '../diagnostics.js';
import type { Expr } from './ast.js';
import { loweringInto } from './body.js';
import {
  force,
  type LossContext,
  type Objective,
  operand,
  type Player,
  placeAt,
  scopeOf,
} from './loss-expressions.js';
import { arithmetic, type Operand, printTensor } from './loss-functions.js';
import { imageType } from './signature.js';

/**
 * What each player minimises: graphs from `%sr` and `%hr` to a scalar and then its terms, in training form. Networks'
 * parameters carry their names (`@critic.conv.weight`).
 */
export interface Loss {
  readonly name: string;
  readonly generator: Graph;
  /** Present when the loss has an adversarial term. Weights of terms apply to the generator only. */
  readonly discriminator?: Graph;
  /** What the outputs after the first are, as written: `0.1 * perceptual(vgg.conv1_2)`. None for a single term. */
  readonly terms: Readonly<Record<Player, readonly string[]>>;
  /** The networks it applies. */
  readonly networks: readonly string[];
  /** Whether it compares with the sharpened original: its graphs then have the input `%usm` too. */
  readonly sharpened: boolean;
}

/** The loss that `expr` is. */
export function lowerLoss(name: string, expr: Expr, context: LossContext): Loss {
  const own = begin(name, 'generator', context);
  const generator = finish(own, operand(own, scopeOf(own), expr), expr.span);
  const networks = [...own.used];
  const rest = { networks, terms: { generator: [], discriminator: [] }, sharpened: false };
  if (own.adversarial.length === 0) return { name, generator, ...rest };

  const other = begin(name, 'discriminator', context);
  const place = placeAt(other, expr.span);
  const terms = own.adversarial.map((criterion) => force(other, scopeOf(other), criterion, expr.span));
  const total = terms.reduce((sum, term) => arithmetic(place, '+', sum, term));
  return { name, generator, discriminator: finish(other, total, expr.span), ...rest };
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
    used: new Set(),
    adversarial: [],
    within: [],
    depth: 0,
  };
}

function finish({ lowering: { builder } }: Objective, value: Operand, span: Span): Graph {
  if (typeof value !== 'object')
    return fail('a loss must depend on the image', { span, label: `this is ${value}` });
  const type = builder.type(value.ref);
  if (type.shape.length === 0) return builder.finish([value.ref]);
  return fail('a loss must be one number', {
    span,
    label: `this is ${printTensor(type)}`,
    help: 'take its mean(…)',
  });
}
