// Lowers bodies: statements chain a current value through graph nodes. Blocks are inlined in the module that wrote
// them, repeats unrolled, parameters evaluated; a wrong shape is reported at its statement with where it came from.

import type { GraphBuilder } from '../compiler/builder.js';
import type { Init, Ref } from '../compiler/graph.js';
import { ShapeError } from '../compiler/ops/op.js';
import { printImage, sameShape } from '../compiler/ops/types.js';
import { fail, internal, locate, type Source, type Span, UserError } from '../diagnostics.js';
import type { BlockItem, Body, Statement } from './ast.js';
import { bind, declaredBy } from './binding.js';
import { COMBINATORS, differentShapes, LAYERS, POINTWISE } from './layers.js';
import { type Found, find, type Module } from './module.js';
import { count, readArg } from './params.js';
import { PathScope, segmentOf } from './paths.js';
import type { Site } from './site.js';
import { evaluate, type Origin, provenance, quote, type TensorValue, type Value } from './values.js';

/** Statements run plus operands read, in one graph, before it is called a mistake: ESRGAN has about 6,000. */
const MAX_OPERATIONS = 100_000;

/** Bodies inside bodies, through blocks: far from the stack's end. */
const MAX_DEPTH = 200;

/** One graph under construction. */
export interface Lowering {
  readonly builder: GraphBuilder;
  /** The user's file: positions in it are told without its name. */
  readonly source: Source;
  /** What is left of MAX_OPERATIONS. */
  budget: number;
}

export function loweringInto(builder: GraphBuilder, source: Source): Lowering {
  return { builder, source, budget: MAX_OPERATIONS };
}

/** What the statements of a body see. */
export interface Frame {
  readonly module: Module;
  /** Parameters, `let`s, `input`, `channels`, and the values named so far. */
  readonly env: Map<string, Value>;
  readonly paths: PathScope;
  /** See Site. */
  readonly training: boolean;
  /** The blocks being inlined, outermost first. */
  readonly blocks: readonly BlockItem[];
  /** Bodies around this one. */
  readonly depth: number;
}

/** The outermost frame of a network. */
export function outermost(scope: Pick<Frame, 'module' | 'env' | 'paths' | 'training'>): Frame {
  return { ...scope, blocks: [], depth: 0 };
}

/** `input` and its extents, as a body that `x` enters sees them. */
export function entering(x: TensorValue): [string, Value][] {
  const [, channels, height, width] = x.type.shape;
  return [
    ['input', x],
    ['channels', channels!],
    ['height', height!],
    ['width', width!],
  ];
}

/** The value after `body`; names its statements define are added to `frame.env`. */
export function lowerBody(lowering: Lowering, frame: Frame, body: Body, x: TensorValue): TensorValue {
  if (frame.depth > MAX_DEPTH)
    fail('blocks are nested too deeply', { span: body.span, label: `${MAX_DEPTH} deep` });
  return body.statements.reduce((value, statement) => {
    const result = lowerStatement(lowering, frame, statement, value);
    if (statement.label) frame.env.set(statement.label.text, result);
    return result;
  }, x);
}

function lowerStatement(lowering: Lowering, frame: Frame, statement: Statement, x: TensorValue): TensorValue {
  const { repeat, callee } = statement;
  const times = repeat ? readArg('a repeat', count(), repeat.count, frame.env) : 1;
  if (callee?.text === 'dense') return lowerDense(lowering, frame, statement, times, x);
  let value = x;
  for (let i = 0; i < times; i++) {
    spend(lowering, 1, statement.span);
    value = lowerOnce(lowering, frame, statement, value);
  }
  return value;
}

function lowerOnce(lowering: Lowering, frame: Frame, statement: Statement, x: TensorValue): TensorValue {
  const { callee, body } = statement;
  if (body) {
    const value = lowerBody(lowering, inner(frame, statement, body), body, x);
    return callee ? lowerResidual(lowering, frame, statement, x, value) : value;
  }
  const name = callee?.text ?? internal('a statement has neither a callee nor a body');
  const block = find(frame.module, 'blocks', name);
  return block
    ? inline(lowering, frame, statement, block, x)
    : lowerLayer(lowering, frame, statement, name, x);
}

/** The frame of a body in braces: it sees everything around it, and a label makes it a scope of paths. */
function inner(frame: Frame, { label }: Statement, body: Body): Frame {
  const paths = label ? new PathScope(`${frame.paths.enter(label.text)}.`, body) : frame.paths;
  return { ...frame, env: new Map(frame.env), paths, depth: frame.depth + 1 };
}

function lowerLayer(
  lowering: Lowering,
  frame: Frame,
  statement: Statement,
  name: string,
  x: TensorValue,
): TensorValue {
  const row = LAYERS.get(name) ?? internal(`unknown layer ${name} was not reported`);
  const layer = row.call(statement.args ?? [], frame.env, statement.span);
  const path = frame.paths.enter(segmentOf(statement) ?? name);
  const result = atStatement(lowering, statement.span, x, () =>
    layer(siteAt(lowering, frame, statement.span, path), x),
  );
  const { builder } = lowering;
  return {
    ref: result,
    type: builder.type(result),
    origin: POINTWISE.has(name) ? x.origin : { statement, env: frame.env },
  };
}

function siteAt(lowering: Lowering, { training }: Frame, span: Span, path: string): Site {
  const { builder, source } = lowering;
  const loc = locate(span);
  // A network that is applied twice in one graph shares its parameters.
  const declare = (leaf: string, shape: readonly number[], init: Init, trainable: boolean) => {
    const name = `${path}.${leaf}`;
    return builder.hasParam(name) ? `@${name}` : builder.param(name, shape, init, trainable);
  };
  return {
    span,
    source,
    training,
    emit(op, inputs, attrs) {
      spend(lowering, inputs.length, span);
      return builder.emit(op, inputs, attrs, loc);
    },
    param: (leaf, shape, init) => declare(leaf, shape, init, true),
    state: (leaf, shape, init) => declare(leaf, shape, init, false),
    current: (state) => builder.current(state),
    update: (state, value) => builder.update(state, value),
    type: (ref) => builder.type(ref),
  };
}

/** Runs `work`; a wrong shape is reported at the statement, with what entered it. */
function atStatement<T>({ source }: Lowering, span: Span, x: TensorValue, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    return fail(error.message, {
      span,
      label: `what enters here is ${printImage(x.type)}`,
      notes: [`it comes from ${provenance(x, source)}`],
      ...(error.help !== undefined && { help: error.help }),
    });
  }
}

function lowerResidual(
  { builder, source }: Lowering,
  frame: Frame,
  statement: Statement,
  x: TensorValue,
  value: TensorValue,
): TensorValue {
  const scale = COMBINATORS.get('residual')!.call(statement.args ?? [], frame.env, statement.span);
  if (!sameShape(x.type.shape, value.type.shape)) {
    differentShapes('residual adds', value, x, {
      span: 'statement' in value.origin ? value.origin.statement.span : statement.span,
      source,
      label: `this gives ${printImage(value.type)}`,
      other: 'the skip',
      help: widthHelp(value.origin, x),
    });
  }
  const loc = locate(statement.span);
  const scaled = scale === 1 ? value.ref : builder.emit('scale', [value.ref], { by: scale }, loc);
  const ref = builder.emit('add', [scaled, x.ref], {}, loc);
  return { ref, type: builder.type(ref), origin: x.origin };
}

/** A conv can be given the skip's width. */
function widthHelp(origin: Origin, skip: TensorValue): string | undefined {
  const width = skip.type.shape[1];
  if ('inputOf' in origin || origin.statement.callee?.text !== 'conv') return undefined;
  return `use \`conv(${origin.env.get('channels') === width ? 'channels' : width})\``;
}

/** Copy k sees the input and the results of the copies before it. */
function lowerDense(
  lowering: Lowering,
  frame: Frame,
  statement: Statement,
  times: number,
  x: TensorValue,
): TensorValue {
  const { span, body = internal('dense without a body was not reported') } = statement;
  const { builder } = lowering;
  const origin = { statement, env: frame.env };
  const parts = [x];
  let joined = x;
  for (let i = 0; i < times; i++) {
    spend(lowering, parts.length, span);
    parts.push(lowerBody(lowering, inner(frame, statement, body), body, joined));
    const refs = parts.map((part) => part.ref);
    const ref: Ref = atStatement(lowering, span, x, () => builder.emit('concat', refs, {}, locate(span)));
    joined = { ref, type: builder.type(ref), origin };
  }
  return joined;
}

/** A block sees its parameters, the top level of its own file, and what enters it. */
function inline(
  lowering: Lowering,
  frame: Frame,
  statement: Statement,
  { module, item }: Found<BlockItem>,
  x: TensorValue,
): TensorValue {
  const name = item.name.text;
  if (frame.blocks.includes(item)) {
    fail(`block \`${name}\` contains itself`, {
      span: statement.span,
      notes: [
        [...frame.blocks.slice(frame.blocks.indexOf(item)), item]
          .map((block) => block.name.text)
          .join(' -> '),
      ],
      help: 'to repeat a block, write `xN` after its call',
    });
  }
  const bound = bind(name, declaredBy(item.params), statement.args ?? [], statement.span);
  const env = new Map<string, Value>([...module.lets, ...entering(x)]);
  for (const param of item.params) {
    const arg = bound.get(param.name.text);
    env.set(param.name.text, arg ? evaluate(arg, frame.env) : evaluate(param.default!, env));
  }
  const path = frame.paths.enter(segmentOf(statement) ?? name);
  const inside = {
    module,
    env,
    paths: new PathScope(`${path}.`, item.body),
    training: frame.training,
    blocks: [...frame.blocks, item],
    depth: frame.depth + 1,
  };
  if (module === frame.module) return lowerBody(lowering, inside, item.body, x);

  // What happens inside the library is told in terms of the user's own statement.
  const value = toldAt(statement.span, name, () => lowerBody(lowering, inside, item.body, x));
  return value === x ? x : { ...value, origin: { statement, env: frame.env } };
}

/** Runs `work` in another module's text; its errors are shown at `span`, with the text they happened at as a note. */
export function toldAt<T>(span: Span, name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      error.diagnostics.map(({ span: inside, label, notes = [], ...rest }) => ({
        ...rest,
        span,
        notes: [
          ...(inside ? [`in ${name}, \`${quote(inside)}\`${label ? `: ${label}` : ''}`] : []),
          ...notes,
        ],
      })),
    );
  }
}

export function spend(lowering: Lowering, operations: number, span: Span): void {
  lowering.budget -= operations;
  if (lowering.budget >= 0) return;
  fail(`this makes more than ${MAX_OPERATIONS.toLocaleString('en')} operations`, {
    span,
    help: 'repeat it less often',
  });
}
