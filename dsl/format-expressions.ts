// How expressions and lists in parentheses are printed: with the fewest parentheses; sums and products break before
// their operators; a product is tight inside parentheses (`4*features`) and spaced outside (`0.8 * gan`).

import type { Source, Span } from '../diagnostics.js';
import type { Arg, BinaryExpr, Expr } from './ast.js';
import type { CommentQueue } from './comments.js';
import { type Doc, group, hardline, indent, line, print as printDoc, yieldingGroup } from './doc.js';

export interface ExpressionPrinter {
  expression(expr: Expr): Doc;
  /** As inside parentheses. */
  tight(expr: Expr): Doc;
  args(args: readonly Arg[], from: number): Doc;
  /** `(…)`, of which the source has the opening parenthesis at `from` or later. */
  list<T extends { readonly span: Span }>(
    elements: readonly T[],
    from: number,
    print: (element: T) => Doc,
  ): Doc;
}

const SUM = 1;
const PRODUCT = 2;
const NEGATION = 3;
const POWER = 4;
const ATOM = 5;

const BINDING: Readonly<Record<BinaryExpr['op'], number>> = {
  '+': SUM,
  '-': SUM,
  '*': PRODUCT,
  '/': PRODUCT,
  '^': POWER,
};

export function expressionPrinter({ text }: Source, queue: CommentQueue): ExpressionPrinter {
  /** `least` is the binding strength below which the place asks for parentheses. */
  function print(expr: Expr, least: number, tight: boolean): Doc {
    switch (expr.kind) {
      case 'number':
        return expr.text;
      case 'string':
        return `"${expr.value}"`;
      case 'ref':
        return expr.name;
      case 'member':
        return [print(expr.object, ATOM, tight), '.', expr.member.text];
      case 'call':
        return [print(expr.callee, ATOM, tight), args(expr.args, expr.callee.span.end)];
      case 'tuple': {
        const comma = expr.items.length === 1 ? ',' : '';
        return list(expr.items, expr.span.start, (item) => [print(item, SUM, true), comma]);
      }
      case 'negate':
        if (NEGATION < least) return ['(', print(expr, SUM, true), ')'];
        return ['-', print(expr.value, NEGATION, tight)];
      case 'binary':
        if (BINDING[expr.op] < least) return ['(', print(expr, SUM, true), ')'];
        if (expr.op === '^') return [print(expr.left, ATOM, tight), '^', print(expr.right, NEGATION, tight)];
        return chain(expr, BINDING[expr.op], tight);
    }
  }

  /** A sum or a product: what binds alike stays in one group, so that all of its operators break or none. */
  function chain(expr: BinaryExpr, strength: number, tight: boolean): Doc {
    const links: BinaryExpr[] = [];
    let first: Expr = expr;
    for (; first.kind === 'binary' && BINDING[first.op] === strength; first = first.left)
      links.unshift(first);
    const start = print(first, strength, tight);
    if (strength === PRODUCT && tight) {
      return [start, links.map(({ op, right }) => [op, print(right, strength + 1, tight)])];
    }
    const rest = links.map(({ op, right }) => {
      const { behind, alone } = queue.takeBefore(right.span.start);
      const before = [behind, line(' '), alone.map((comment) => [comment.text, hardline])];
      return [before, op, ' ', print(right, strength + 1, tight)];
    });
    // Before a sum breaks the parentheses to its left, such as a definition's parameters, it breaks itself.
    return (tight ? group : yieldingGroup)([start, indent(rest)]);
  }

  function list<T extends { readonly span: Span }>(
    elements: readonly T[],
    from: number,
    printElement: (element: T) => Doc,
  ): Doc {
    const end = closingParenthesis(text, elements.at(-1)?.span.end ?? from);
    const parts = elements.map((element, i) => {
      const { behind, alone } = queue.takeBefore(element.span.start);
      const before = [behind, line(i > 0 ? ' ' : ''), alone.map((comment) => [comment.text, hardline])];
      return [before, printElement(element), i < elements.length - 1 ? ',' : ''];
    });
    const { behind, alone } = queue.takeBefore(end);
    if (parts.length === 0 && behind === '' && alone.length === 0) return '()';
    const content = [parts, behind, alone.map((comment) => [hardline, comment.text])];
    return group(['(', indent(content), line(''), ')']);
  }

  function args(elements: readonly Arg[], from: number): Doc {
    return list(elements, from, ({ name, value }) => [name ? `${name.text}=` : '', print(value, SUM, true)]);
  }

  return {
    expression: (expr) => print(expr, SUM, false),
    tight: (expr) => print(expr, SUM, true),
    list,
    args,
  };
}

/** `expr` on one line, without the comments inside it. */
export function expressionText(expr: Expr): string {
  const queue: CommentQueue = { takeBefore: () => ({ behind: '', alone: [] }) };
  return printDoc(expressionPrinter(expr.span.source, queue).expression(expr), Number.POSITIVE_INFINITY);
}

/** Where the list ends whose last element, or whose beginning, is at `offset`. */
export function closingParenthesis(text: string, offset: number): number {
  const rest = /(?:[\s(,]|\/\/[^\n]*)*/y;
  rest.lastIndex = offset;
  rest.exec(text);
  return rest.lastIndex;
}
