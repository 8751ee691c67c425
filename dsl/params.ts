// Parameters of everything built in that can be called, typed: a row says what each argument must be, and the code
// behind the row receives exactly that.

import { fail, type Span } from '../diagnostics.js';
import type { Arg, Expr } from './ast.js';
import { bind, type Declared } from './binding.js';
import { didYouMean } from './suggest.js';
import {
  describe,
  type Env,
  evaluate,
  isTensor,
  isTuple,
  type TensorValue,
  type Value,
  valuesOf,
} from './values.js';

export interface Param<T> {
  /** What it must be: "a whole number, 1 or more". */
  readonly expected: string;
  /** The argument's value, or undefined when it is not what is expected. */
  read(value: Value): T | undefined;
  /** Present: the argument may be left out. */
  readonly fallback?: { readonly value: T };
  /** Bare words with a meaning for this parameter: `mode=nearest`. */
  readonly words?: readonly string[];
  /** Takes all remaining positional arguments, as one tuple. */
  readonly rest?: true;
}

export type Range = readonly [low: number, high: number];
export type Params = Readonly<Record<string, Param<unknown>>>;
export type ArgsOf<P extends Params> = { readonly [K in keyof P]: P[K] extends Param<infer T> ? T : never };

/** Something that can be called: `R` is what a call of it means. */
export interface Callable<R> {
  readonly name: string;
  readonly doc: string;
  readonly params: Params;
  call(args: readonly Arg[], env: Env, at: Span): R;
}

export function callable<P extends Params, R>(
  name: string,
  doc: string,
  params: P,
  meaning: (args: ArgsOf<P>, at: Span) => R,
): Callable<R> {
  const names = declared(params);
  const read = (args: readonly Arg[], env: Env, at: Span): ArgsOf<P> => {
    const bound = bind(name, names, args, at);
    const values = Object.entries(params).map(([param, row]) => {
      const expr = bound.get(param);
      const value = expr ? readArg(`\`${param}\` of \`${name}\``, row, expr, env) : row.fallback?.value;
      return [param, value];
    });
    // Each entry was read by the parameter of its own name, which is what ArgsOf says.
    return Object.fromEntries(values) as ArgsOf<P>;
  };
  return { name, doc, params, call: (args, env, at) => meaning(read(args, env, at), at) };
}

/** The rows by name. */
export function table<R>(...rows: readonly Callable<R>[]): ReadonlyMap<string, Callable<R>> {
  return new Map(rows.map((row) => [row.name, row]));
}

function param<T>(expected: string, read: (value: Value) => T | undefined, fallback?: T): Param<T> {
  return { expected, read, ...(fallback !== undefined && { fallback: { value: fallback } }) };
}

function numeric(expected: string, admits: (value: number) => boolean) {
  return (fallback?: number): Param<number> =>
    param(expected, (value) => (typeof value === 'number' && admits(value) ? value : undefined), fallback);
}

function inF32(value: number): boolean {
  return Number.isFinite(Math.fround(value));
}

export const count = numeric('a whole number, 1 or more', (v) => Number.isSafeInteger(v) && v >= 1);
export const whole = numeric('a whole number, 0 or more', (v) => Number.isSafeInteger(v) && v >= 0);
/** Kernels compute in f32: what that cannot hold, or would round to 0, is not what was written. */
export const positive = numeric('a number above 0 that f32 holds', (v) => Math.fround(v) > 0 && inF32(v));
export const number = numeric('a number that f32 holds', inF32);
export const fraction = numeric('a number from 0 up to, but not including, 1', (v) => v >= 0 && v < 1);

export const probability = numeric('a number from 0 to 1', (v) => v >= 0 && v <= 1);
export const amount = numeric('a number, 0 or more, that f32 holds', (v) => v >= 0 && inF32(v));
export const odd = numeric('an odd number, 3 or more', (v) => v >= 3 && v % 2 === 1);
export const quality = numeric('a whole number from 1 to 100', (v) => v >= 1 && v <= 100 && v % 1 === 0);

/** Tied to a number found elsewhere: `why` names it, "the generator's scale". */
export const multipleOf = (of: number, why: string) =>
  numeric(`a multiple of ${of}, ${why}`, (v) => Number.isSafeInteger(v) && v >= 1 && v % of === 0)();
export const exactly = (value: number, why: string) => numeric(`${value}, ${why}`, (v) => v === value)();

export const flag = (fallback?: boolean): Param<boolean> =>
  param('true or false', (value) => (typeof value === 'boolean' ? value : undefined), fallback);

export const tap = (): Param<TensorValue> =>
  param('a named value', (value) => (isTensor(value) ? value : undefined));

export const word = <W extends string>(words: readonly W[], fallback?: W): Param<W> => ({
  ...param(words.join(' or '), (value) => words.find((known) => known === value), fallback),
  words,
});

/** `(1, 2)`; a single one needs no parentheses. */
export const listOf = <T>(item: Param<T>, expected: string): Param<readonly T[]> =>
  param(expected, (value) => {
    const items = (isTuple(value) ? value.items : [value]).map((v) => item.read(v));
    return items.some((v) => v === undefined) ? undefined : items.filter((v) => v !== undefined);
  });

/** `(0.2, 3)`: the smaller one first. */
export const range = (item: Param<number>, fallback: Range): Param<Range> =>
  param(
    `a range, two numbers, each ${item.expected}, the smaller first`,
    (value) => {
      const [low, high, more] = isTuple(value) ? value.items.map((v) => item.read(v)) : [];
      return low !== undefined && high !== undefined && more === undefined && low <= high
        ? [low, high]
        : undefined;
    },
    fallback,
  );

export const rest = <T>(item: Param<T>): Param<readonly T[]> => ({
  ...listOf(item, `each ${item.expected}`),
  rest: true,
});

export const or = <T>(param: Param<T>, fallback: T): Param<T> => ({
  ...param,
  fallback: { value: fallback },
});
export const optional = <T>(param: Param<T>): Param<T | undefined> => ({
  ...param,
  fallback: { value: undefined },
});

/** The parameters as binding sees them. */
export function declared(params: Params): Declared[] {
  return Object.entries(params).map(([name, { fallback, rest }]) => ({
    name,
    required: fallback === undefined,
    ...(rest && { rest }),
  }));
}

/** One argument as its parameter wants it; `what` names it in the message. */
export function readArg<T>(what: string, param: Param<T>, expr: Expr, env: Env): T {
  const bare = param.words !== undefined && expr.kind === 'ref' && !env.has(expr.name);
  const value = bare ? expr.name : evaluate(expr, env);
  const result = param.read(value);
  if (result !== undefined) return result;
  const near = typeof value === 'string' && didYouMean(value, param.words ?? []);
  return fail(`${what} must be ${param.expected}`, {
    span: expr.span,
    label: `this is ${bare ? value : describe(value)}`,
    notes: expr.kind === 'ref' ? [] : valuesOf([expr], env),
    ...(near && { help: `did you mean \`${near}\`?` }),
  });
}
