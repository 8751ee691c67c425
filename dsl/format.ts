// The one style of `.sr` files. Line breaks between statements are the author's: what shares a line stays together
// while it fits, what has a line of its own keeps it, and so does one blank line. The rest is decided here.

import type { Span } from '../diagnostics.js';
import type {
  Body,
  Expr,
  File,
  Item,
  Name,
  ParamDef,
  Repeat,
  Setting,
  Signature,
  Stage,
  Statement,
} from './ast.js';
import { commentQueue } from './comments.js';
import { type Doc, group, hardline, indent, join, line, print, yieldingGroup } from './doc.js';
import { closingParenthesis, expressionPrinter } from './format-expressions.js';

const WIDTH = 110;

/** The text of a parsed file in the one style: parsed, it gives the same tree, spans apart; formatted, itself. */
export function format(file: File): string {
  const { text } = file.source;
  const queue = commentQueue(file);
  const { expression, tight, args, list } = expressionPrinter(file.source, queue);

  function item(it: Item): Doc {
    switch (it.kind) {
      case 'let':
      case 'blend':
        return [it.kind, ' ', it.name.text, definition(it.value)];
      case 'block':
        return ['block ', it.name.text, params(it.name, it.params), ' ', body(it.body)];
      case 'network':
        return [
          [it.role, ' ', it.name.text, params(it.name, it.params)],
          it.signature ? signature(it.signature) : '',
          it.body ? [' ', body(it.body)] : '',
          it.value ? definition(it.value) : '',
        ];
      case 'loss':
        return [
          ['loss ', it.name.text, params(it.name, it.params)],
          it.value ? definition(it.value) : '',
          it.players ? [' ', braces(it.players, headEnd(it.name, it.params), it.span.end, player)] : '',
        ];
      case 'train': {
        const entries = [...it.settings, ...it.stages].sort((a, b) => a.span.start - b.span.start);
        return [
          'train ',
          braces(entries, it.span.start, it.span.end, (e) => ('key' in e ? setting(e) : stage(e))),
        ];
      }
    }
  }

  function definition(value: Expr): Doc {
    const { behind, alone } = queue.takeBefore(value.span.start);
    if (behind === '' && alone.length === 0) return [' = ', expression(value)];
    const above = alone.map((comment) => [comment.text, hardline]);
    return [' =', behind, indent([hardline, above, expression(value)])];
  }

  function params(name: Name, defs: readonly ParamDef[]): Doc {
    if (defs.length === 0) return '';
    return list(defs, name.span.end, (def) => [
      def.name.text,
      def.default ? [' = ', tight(def.default)] : '',
    ]);
  }

  function headEnd(name: Name, defs: readonly ParamDef[]): number {
    const last = defs.at(-1);
    return last ? closingParenthesis(text, last.span.end) : name.span.end;
  }

  function signature({ input, output, span }: Signature): Doc {
    return [' : ', list(input, span.start, tight), output ? [' -> ', list(output, span.start, tight)] : ''];
  }

  function body({ statements, span }: Body): Doc {
    return braces(statements, span.start, span.end, statement);
  }

  function statement({ label, callee, args: given, repeat, body: inner }: Statement): Doc {
    const parts = [
      callee ? [callee.text, given ? args(given, callee.span.end) : ''] : undefined,
      repeat?.beforeBody ? times(repeat) : undefined,
      inner ? body(inner) : undefined,
      repeat && !repeat.beforeBody ? times(repeat) : undefined,
    ];
    return [
      label ? [label.text, ' = '] : '',
      join(
        parts.filter((part) => part !== undefined),
        ' ',
      ),
    ];
  }

  function times({ count }: Repeat): Doc {
    if (count.kind === 'number' && /^\d+$/.test(count.text)) return ['x', count.text];
    return ['x(', tight(count), ')'];
  }

  function setting({ key, values, bare }: Setting): Doc {
    if (bare) return values.map(expression);
    const [first, ...others] = values;
    const rest = others.map((value) => {
      const { behind, alone } = queue.takeBefore(value.span.start);
      return [',', behind, line(' '), alone.map((comment) => [comment.text, hardline]), expression(value)];
    });
    return group([key.text, ': ', first ? expression(first) : '', indent(rest)]);
  }

  function player({ key, values }: Setting): Doc {
    return [key.text, values.map(definition)];
  }

  function stage({ name, settings, span }: Stage): Doc {
    return ['stage ', name.text, ' ', braces(settings, span.start, span.end, setting)];
  }

  /** `{ … }`, which the source has between the offsets: on one line if it is there and fits. */
  function braces<T extends { readonly span: Span }>(
    nodes: readonly T[],
    start: number,
    end: number,
    printNode: (node: T) => Doc,
  ): Doc {
    if (text.slice(start, end).includes('\n')) {
      const lines = sequence(nodes, end - 1, printNode);
      return lines.length > 0 ? ['{', indent(lines), hardline, '}'] : '{}';
    }
    if (nodes.length === 0) return '{}';
    return yieldingGroup(['{', indent([line(' '), oneLine(nodes.map(printNode))]), line(' '), '}']);
  }

  /** The lines of the source up to `end`, nodes and comments, a line break before each. */
  function sequence<T extends { readonly span: Span }>(
    nodes: readonly T[],
    end: number,
    printNode: (node: T) => Doc,
  ): Doc[] {
    const lines: { readonly breaks: Doc; readonly content: Doc[] }[] = [];
    let done = 0;
    let behind: Doc = '';
    const startLine = (span: Span, content: Doc) => {
      const blank = lines.length > 0 && text.slice(done, span.start).split('\n').length > 2;
      lines.push({ breaks: [behind, hardline, blank ? hardline : ''], content: [content] });
      done = span.end;
      behind = '';
    };
    const comments = (before: number) => {
      const taken = queue.takeBefore(before);
      behind = taken.behind;
      for (const comment of taken.alone) startLine(comment.span, comment.text);
      return taken.behind !== '' || taken.alone.length > 0;
    };
    for (const node of nodes) {
      const ownLine = comments(node.span.start) || text.slice(done, node.span.start).includes('\n');
      const last = lines.at(-1);
      if (ownLine || !last) startLine(node.span, printNode(node));
      else last.content.push(printNode(node));
      done = node.span.end;
    }
    comments(end);
    const docs = lines.map(({ breaks, content }) => [breaks, oneLine(content)]);
    return behind === '' ? docs : [...docs, behind];
  }

  return `${print(sequence(file.items, text.length, item), WIDTH).trim()}\n`;
}

/** Statements that share a line while they fit. */
function oneLine(statements: readonly Doc[]): Doc {
  return group(join(statements, line('; ')));
}
