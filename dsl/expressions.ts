// The actions for expressions: flat chains of the grammar become trees, left to right, powers right to left.

import type { ActionDict, Node } from 'ohm-js';
import { fail, type Span } from '../diagnostics.js';
import type { Arg, BinaryExpr, Expr, MemberExpr, NumberExpr, RefExpr } from './ast.js';
import { numberValue } from './numbers.js';

/** Operations on one path through an expression: whoever recurses over the tree has the stack for it. */
const MAX_DEPTH = 500;

const BINARY: readonly BinaryExpr['op'][] = ['+', '-', '*', '/', '^'];

/** Where a node, or a run of nodes, stands. */
export type SpanOf = (first: Node, last?: Node) => Span;

/** The actions of the operation `expr`; they rely on an operation `args`. */
export function expressionActions(spanOf: SpanOf): ActionDict<Expr> {
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

  function binary(symbol: string, left: Expr, right: Expr, span: Span): Expr {
    const op = BINARY.find((known) => known === symbol)!;
    return bounded({ kind: 'binary', op, left, right, span }, [left, right]);
  }

  function leftToRight(first: Node, symbols: Node, rest: Node): Expr {
    return rest.children.reduce<Expr>(
      (left, node, i) => binary(symbols.child(i).sourceString, left, node.expr(), spanOf(first, node)),
      first.expr(),
    );
  }

  function negated(minuses: Node, value: Expr, last: Node): Expr {
    return minuses.children.reduceRight<Expr>(
      (inner, minus) => bounded({ kind: 'negate', value: inner, span: spanOf(minus, last) }, [inner]),
      value,
    );
  }

  function number(text: string, span: Span): NumberExpr {
    return { kind: 'number', value: numberValue(text, span), text, span };
  }

  return {
    Expr: leftToRight,
    Product: leftToRight,
    Signed(minuses, value) {
      return negated(minuses, value.expr(), value);
    },
    // a ^ -b ^ c is a ^ (-(b ^ c)).
    Power(base, _carets, signs, exponents) {
      const last = exponents.children.at(-1) ?? base;
      const operands = [base, ...exponents.children];
      let power: Expr = last.expr();
      for (let i = operands.length - 2; i >= 0; i--) {
        const exponent = negated(signs.child(i), power, last);
        power = binary('^', operands[i]!.expr(), exponent, spanOf(operands[i]!, last));
      }
      return power;
    },
    Primary_number(token) {
      return number(token.sourceString, spanOf(token));
    },
    Primary_string(token) {
      return { kind: 'string', value: token.sourceString.slice(1, -1), span: spanOf(token) };
    },
    Call(path, args) {
      const callee: RefExpr | MemberExpr = path.expr();
      const list: Arg[] = args.args();
      const values = list.map((arg) => arg.value);
      return bounded({ kind: 'call', callee, args: list, span: spanOf(this) }, [callee, ...values]);
    },
    Primary_group(_open, value, _close) {
      return value.expr();
    },
    Primary_tuple(_open, values, _close) {
      const items: Expr[] = values.exprs();
      return bounded({ kind: 'tuple', items, span: spanOf(this) }, items);
    },
    Path(first, _dots, members) {
      return members.children.reduce<RefExpr | MemberExpr>(
        (object, node) => {
          const member = { text: node.sourceString, span: spanOf(node) };
          return bounded({ kind: 'member', object, member, span: spanOf(first, node) }, [object]);
        },
        { kind: 'ref', name: first.sourceString, span: spanOf(first) },
      );
    },
    Repeat_literal(times) {
      const span = spanOf(times);
      return number(times.sourceString.slice(1), { ...span, start: span.start + 1 });
    },
    Repeat_computed(_x, _open, count, _close) {
      return count.expr();
    },
  };
}
