// One player's objective under construction: the graph, what expressions in it see, and what they stand for.

import type { Ref } from '../compiler/graph.js';
import { ShapeError } from '../compiler/ops/op.js';
import { fail, locate, type Source, type Span } from '../diagnostics.js';
import type { Application } from './application.js';
import type { LossItem } from './ast.js';
import { type Lowering, spend } from './body.js';
import type { PLAYERS } from './check.js';
import type { Operand, Place } from './loss-functions.js';
import type { Found, Module } from './module.js';
import type { NetworkDef } from './networks.js';
import type { Shape } from './signature.js';

export type Player = (typeof PLAYERS)[number];

/** What names and expressions of a loss stand for. */
export type LossValue = Operand | Mapping | Criterion;

/** A function of an image: a network, or a network up to a tap. */
export interface Mapping {
  readonly kind: 'mapping';
  readonly name: string;
  readonly def: NetworkDef;
  readonly until?: string;
}

/** A loss; `args` once its parameters are bound. */
export interface Criterion extends Found<LossItem> {
  readonly kind: 'criterion';
  readonly args?: ReadonlyMap<string, LossValue>;
}

/** What every loss of a program is lowered against. */
export interface LossContext {
  readonly module: Module;
  readonly source: Source;
  readonly networks: ReadonlyMap<string, NetworkDef>;
  /** The shape of `sr` and `hr`. */
  readonly image: Shape;
}

/** One player's graph under construction. */
export interface Objective {
  readonly context: LossContext;
  readonly player: Player;
  readonly lowering: Lowering;
  readonly sr: Ref;
  readonly hr: Ref;
  /** `%usm`, once somebody asked for it. */
  usm?: Ref;
  /** The networks it applies, by name and operand: a network is applied to a value once. */
  readonly applications: Map<string, Application>;
  /** Every loss with players that was met. */
  readonly adversarial: Criterion[];
  /** Losses being evaluated, outermost first. */
  readonly within: LossItem[];
  /** Losses and expressions around the one being evaluated. */
  depth: number;
}

/** What an expression sees. */
export interface Scope {
  readonly module: Module;
  readonly params: ReadonlyMap<string, LossValue>;
  readonly sr: Ref;
  readonly hr: Ref;
}

/** The top level of the user's file. */
export function scopeOf({ context, sr, hr }: Objective): Scope {
  return { module: context.module, params: new Map(), sr, hr };
}

export function placeAt(objective: Objective, span: Span): Place {
  const { hr, lowering } = objective;
  const { builder } = lowering;
  const loc = locate(span);
  return {
    span,
    hr,
    sharpened: () => (objective.usm ??= builder.input('usm', builder.type(hr))),
    emit(op, inputs, attrs) {
      return fitting(span, () => builder.emit(op, inputs, attrs, loc));
    },
    type: (ref) => builder.type(ref),
  };
}

function fitting<T>(span: Span, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    return fail(error.message, { span, ...(error.help !== undefined && { help: error.help }) });
  }
}

/** Expressions inside expressions, through losses: beyond one of the parser's deepest, far from the stack's end. */
const MAX_DEPTH = 600;

/** Runs `work` one level down; there is an end to how deep, and to how much. */
export function deeper<T>(objective: Objective, span: Span, work: () => T): T {
  spend(objective.lowering, 1, span);
  if (objective.depth >= MAX_DEPTH)
    fail('losses are nested too deeply', { span, label: `${MAX_DEPTH} deep` });
  objective.depth++;
  const result = work();
  objective.depth--;
  return result;
}
