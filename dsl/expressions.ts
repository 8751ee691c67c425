// Expressions. Sums and products are trees from left to right, powers from right to left:
//
//   Expr    = Product (("+" | "-") Product)*
//   Product = Signed (("*" | "/") Signed)*
//   Signed  = "-"* Power
//   Power   = Primary ("^" "-"* Primary)*
//   Primary = number | string | Path Args? | "(" Expr ")" | "(" Commas<Expr> ")"
//   Path    = name ("." name)*
//   Args    = "(" Commas<Arg>? ")"
//   Arg     = (name "=")? Expr

import { fail, type Span } from '../diagnostics.js';
import type { Arg, BinaryExpr, Expr, MemberExpr, NumberExpr, RefExpr } from './ast.js';
import type { Cursor } from './cursor.js';
import { numberValue } from './numbers.js';
import type { Token } from './scan.js';

/** Operations on one path through an expression: whoever recurses over the tree has the stack for it. */
const MAX_DEPTH = 500;

const SUMS = ['+', '-'] as const;
const PRODUCTS = ['*', '/'] as const;

export function readExpr(cursor: Cursor): Expr {
  return leftToRight(cursor, SUMS, readProduct);
}

function readProduct(cursor: Cursor): Expr {
  return leftToRight(cursor, PRODUCTS, readSigned);
}

function leftToRight(
  cursor: Cursor,
  symbols: readonly BinaryExpr['op'][],
  operand: (cursor: Cursor) => Expr,
): Expr {
  const start = cursor.next;
  let left = operand(cursor);
  for (;;) {
    const op = symbols.find((symbol) => cursor.take(symbol));
    if (!op) return left;
    left = binary(op, left, operand(cursor), cursor.since(start));
  }
}

function readSigned(cursor: Cursor): Expr {
  const minuses = readMinuses(cursor);
  return negated(minuses, readPower(cursor), cursor);
}

function readMinuses(cursor: Cursor): Token[] {
  const minuses: Token[] = [];
  while (cursor.is('-')) minuses.push(cursor.advance());
  return minuses;
}

function negated(minuses: readonly Token[], value: Expr, cursor: Cursor): Expr {
  return minuses.reduceRight<Expr>(
    (inner, minus) => bounded({ kind: 'negate', value: inner, span: cursor.since(minus) }, [inner]),
    value,
  );
}

/** a ^ -b ^ c is a ^ (-(b ^ c)). */
function readPower(cursor: Cursor): Expr {
  const operands: { minuses: Token[]; start: Token; value: Expr }[] = [];
  do {
    const minuses = operands.length > 0 ? readMinuses(cursor) : [];
    operands.push({ minuses, start: cursor.next, value: readPrimary(cursor) });
  } while (cursor.take('^'));
  const last = operands.pop()!;
  return operands.reduceRight(
    ({ minuses, value }, base) => ({
      ...base,
      value: binary('^', base.value, negated(minuses, value, cursor), cursor.since(base.start)),
    }),
    last,
  ).value;
}

function readPrimary(cursor: Cursor): Expr {
  const { kind, text, span } = cursor.next;
  if (cursor.expect(kind === 'number', 'a number')) {
    cursor.advance();
    return numberOf(text, span);
  }
  if (cursor.expect(kind === 'string', 'a string')) {
    cursor.advance();
    return { kind: 'string', value: text.slice(1, -1), span };
  }
  if (cursor.isName()) return readPath(cursor);
  return readParentheses(cursor);
}

export function numberOf(text: string, span: Span): NumberExpr {
  return { kind: 'number', value: numberValue(text, span), text, span };
}

function readPath(cursor: Cursor): Expr {
  const start = cursor.next;
  let path: RefExpr | MemberExpr = { kind: 'ref', name: start.text, span: cursor.name().span };
  while (cursor.take('.')) {
    const member = cursor.name();
    path = bounded({ kind: 'member', object: path, member, span: cursor.since(start) }, [path]);
  }
  if (!cursor.is('(')) return path;
  const args = readArgs(cursor);
  const values = args.map((arg) => arg.value);
  return bounded({ kind: 'call', callee: path, args, span: cursor.since(start) }, [path, ...values]);
}

/** A value in parentheses, or a tuple. */
function readParentheses(cursor: Cursor): Expr {
  const start = cursor.next;
  cursor.need('(');
  const first = readExpr(cursor);
  if (cursor.take(')')) return first;
  cursor.need(',');
  const items = [first, ...cursor.commas(readExpr)];
  return bounded({ kind: 'tuple', items, span: cursor.since(start) }, items);
}

export function readArgs(cursor: Cursor): Arg[] {
  cursor.need('(');
  return cursor.commas(readArg);
}

function readArg(cursor: Cursor): Arg {
  const start = cursor.next;
  const name = cursor.isName() && cursor.is('=', 1) ? cursor.name() : undefined;
  if (name) cursor.need('=');
  const value = readExpr(cursor);
  return { ...(name && { name }), value, span: cursor.since(start) };
}

function binary(op: BinaryExpr['op'], left: Expr, right: Expr, span: Span): Expr {
  return bounded({ kind: 'binary', op, left, right, span }, [left, right]);
}

const depths = new WeakMap<Expr, number>();

function bounded<T extends Expr>(expr: T, children: readonly Expr[]): T {
  const depth = 1 + children.reduce((deepest, child) => Math.max(deepest, depths.get(child) ?? 0), 0);
  if (depth > MAX_DEPTH) {
    fail('this expression is too long', {
      span: expr.span,
      label: `more than ${MAX_DEPTH} operations, one on top of the other`,
      help: 'split it into several definitions',
    });
  }
  depths.set(expr, depth);
  return expr;
}
