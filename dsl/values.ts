// What a name can stand for while shapes are computed: numbers, words, tuples, sizes that only an image will fix, and
// tapped tensors. Parameters, `let`s, signatures and arguments are all evaluated here, by one evaluator.

import type { Ref, TensorType } from '../compiler/graph.js';
import { printImage } from '../compiler/ops/types.js';
import { fail, locate, printLoc, type Source, type Span } from '../diagnostics.js';
import { addDim, type Dim, divDim, isSymbolic, mulDim, printDim, type SymbolicDim } from '../runtime/dims.js';
import type { BinaryExpr, Expr, Statement } from './ast.js';
import { didYouMean } from './suggest.js';

export type Value = number | boolean | string | Tuple | SymbolicDim | TensorValue;

export interface Tuple {
  readonly items: readonly Value[];
}

export interface TensorValue {
  readonly ref: Ref;
  readonly type: TensorType;
  readonly origin: Origin;
}

/** What gave a tensor its shape: a statement ("`conv(features)` at 21:3, features = 64"), or being a network's input. */
export type Origin = StatementOrigin | { readonly inputOf: string };

export interface StatementOrigin {
  readonly statement: Statement;
  /** What the statement saw. */
  readonly env: Env;
}

export type Env = ReadonlyMap<string, Value>;

export const isTuple = (value: Value): value is Tuple => typeof value === 'object' && 'items' in value;
export const isTensor = (value: Value): value is TensorValue => typeof value === 'object' && 'ref' in value;
export const isSize = (value: Value): value is Dim =>
  typeof value === 'number' || (typeof value === 'object' && 'sym' in value);

/** `64`, `"a.pth"`, `(1, 2)`, `4*h, known only when an image arrives`. */
export function describe(value: Value): string {
  if (isTuple(value)) return `(${value.items.map(describe).join(', ')})`;
  if (isTensor(value)) return `a tensor ${printImage(value.type)}`;
  if (typeof value === 'object') return `${printDim(value)}, known only when an image arrives`;
  if (typeof value === 'number') return String(Number(value.toPrecision(6)));
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

export function evaluate(expr: Expr, env: Env): Value {
  switch (expr.kind) {
    case 'number':
    case 'string':
      return expr.value;
    case 'ref':
      return env.get(expr.name) ?? unknownName(expr.name, expr.span, env.keys());
    case 'tuple':
      return { items: expr.items.map((item) => evaluate(item, env)) };
    case 'negate':
      return arithmetic(expr.span, '-', 0, evaluate(expr.value, env));
    case 'binary':
      return arithmetic(expr.span, expr.op, evaluate(expr.left, env), evaluate(expr.right, env));
    default:
      return fail('only numbers can be computed here', { span: expr.span, label: 'this is not a number' });
  }
}

export function unknownName(name: string, span: Span, candidates: Iterable<string>): never {
  const known = [...candidates].filter((candidate) => candidate !== 'true' && candidate !== 'false');
  const near = didYouMean(name, known);
  const help = near ? `did you mean \`${near}\`?` : `known here: ${known.join(', ')}`;
  return fail(`unknown name \`${name}\``, { span, ...((near || known.length > 0) && { help }) });
}

const NUMERIC: Readonly<Record<BinaryExpr['op'], (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '^': (a, b) => a ** b,
};

export function calculate(span: Span, op: BinaryExpr['op'], a: number, b: number): number {
  const result = NUMERIC[op](a, b);
  if (Number.isFinite(result)) return result;
  return fail('this is not a finite number', { span, label: `${describe(a)} ${op} ${describe(b)}` });
}

function arithmetic(span: Span, op: BinaryExpr['op'], a: Value, b: Value): number | SymbolicDim {
  if (typeof a === 'number' && typeof b === 'number') {
    return calculate(span, op, a, b);
  }
  if (isSize(a) && isSize(b)) {
    const size = sizeArithmetic(op, a, b);
    if (size !== undefined && isSymbolic(size)) return size;
  }
  return fail(`\`${op}\` does not work on these`, {
    span,
    notes: [`left: ${describe(a)}`, `right: ${describe(b)}`],
  });
}

/** Sizes stay `mul * sym / div + add`: whole factors and whole offsets only. */
function sizeArithmetic(op: BinaryExpr['op'], a: Dim, b: Dim): Dim | undefined {
  if (typeof a === 'number') return op === '*' || op === '+' ? sizeArithmetic(op, b, a) : undefined;
  if (typeof b !== 'number' || !Number.isInteger(b)) return undefined;
  if (op === '+') return addDim(a, b);
  if (op === '-') return addDim(a, -b);
  if (b <= 0) return undefined;
  if (op === '*') return mulDim(a, b);
  return op === '/' ? divDim(a, b) : undefined;
}

/** Every name an expression reads, once, in order. */
function namesIn(expr: Expr): string[] {
  const names = new Set<string>();
  visit(expr, (part) => part.kind === 'ref' && names.add(part.name));
  return [...names];
}

/** Calls `see` for `expr` and everything inside it. */
export function visit(expr: Expr, see: (part: Expr) => void): void {
  see(expr);
  for (const part of partsOf(expr)) visit(part, see);
}

function partsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'negate':
      return [expr.value];
    case 'binary':
      return [expr.left, expr.right];
    case 'tuple':
      return expr.items;
    case 'member':
      return [expr.object];
    case 'call':
      return [expr.callee, ...expr.args.map((arg) => arg.value)];
    default:
      return [];
  }
}

/** `features = 64`, for the names in `exprs` that are numbers or sizes. */
export function valuesOf(exprs: readonly Expr[], env: Env): string[] {
  return [...new Set(exprs.flatMap(namesIn))].flatMap((name) => {
    const value = env.get(name);
    return value !== undefined && isSize(value)
      ? [`${name} = ${isSymbolic(value) ? printDim(value) : value}`]
      : [];
  });
}

/** "`conv(features)` at 21:3, features = 64", as told to the reader of `source`. */
export function provenance({ origin }: TensorValue, source: Source): string {
  if ('inputOf' in origin) return `the input of \`${origin.inputOf}\``;
  const { span, args = [], repeat } = origin.statement;
  const exprs = [...args.map((arg) => arg.value), ...(repeat ? [repeat.count] : [])];
  return [`\`${quote(span)}\` at ${position(span, source)}`, ...valuesOf(exprs, origin.env)].join(', ');
}

/** The text of `span` on one line, without the body that follows it. */
export function quote(span: Span): string {
  const text = span.source.text.slice(span.start, span.end);
  return (/^[^{\n]*\S(?=\s*(\{|\n|$))/.exec(text)?.[0] ?? text.split('\n')[0]!).trim();
}

/** `21:3` in the same file, else `file:21:3`. */
export function position(span: Span, source: Source): string {
  const loc = locate(span);
  return span.source === source ? `${loc.line}:${loc.column}` : printLoc(loc);
}
