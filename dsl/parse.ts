// Text to syntax tree, by recursive descent over the tokens of scan.ts: one function for each rule of the grammar, which
// two tokens decide everywhere. What a file is (expressions: expressions.ts):
//
//   File      = Lines<Item>
//   Item      = "let" name "=" Expr
//             | "block" name Params? Body
//             | ("generator" | "discriminator" | "perception") name Params? Signature? (Body | "=" Expr)
//             | "loss" name Params? ("=" Expr | "{" Lines<name "=" Expr> "}")
//             | "train" "{" Lines<Stage | Setting> "}"
//             | "blend" name "=" Expr
//   Params    = "(" Commas<name ("=" Expr)?>? ")"
//   Signature = ":" Shape ("->" Shape)?
//   Shape     = "(" Commas<Expr> ")"
//   Stage     = "stage" name "{" Lines<Setting> "}"
//   Setting   = name ":" Expr ("," Expr)* | name Args
//   Body      = "{" Lines<Statement> "}"
//   Statement = (name "=")? (callee Args? Repeat? (Body Repeat?)? | Body Repeat?)
//   Repeat    = "x3" | "x" "(" Expr ")"
//   Lines<T>  = separator* (T separator+)* T?          separator: a new line or ";"
//   Commas<T> = T ("," T)* ","?
//
// No word is reserved. An item's keyword counts only where an item begins, `stage` only where a setting could stand.
// `x3` and `x(n)` repeat only in layer position: right after a layer or a body. A statement cannot begin with one, which
// leaves `x` and `x2` free as labels, parameters and values.

import { fail, type Source, type Span } from '../diagnostics.js';
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
import { Cursor } from './cursor.js';
import { numberOf, readArgs, readExpr } from './expressions.js';
import { ITEM_KEYWORDS, scan } from './scan.js';

/**
 * Parses a `.sr` file or throws a `UserError`. A byte order mark is dropped and every line end becomes `\n`: the tree's
 * `source` is that text, and its spans refer to it.
 */
export function parse(written: Source): File {
  const source = { name: written.name, text: written.text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n') };
  const { tokens, comments } = scan(source);
  return { source, items: new Cursor(tokens).lines('', readItem), comments };
}

function readItem(cursor: Cursor): Item {
  const start = cursor.next;
  const keyword = ITEM_KEYWORDS.find((word) => cursor.take(word)) ?? cursor.refuse();
  switch (keyword) {
    case 'let':
    case 'blend':
      return { kind: keyword, name: cursor.name(), value: readValue(cursor), span: cursor.since(start) };
    case 'block':
      return {
        kind: 'block',
        name: readBlockName(cursor),
        params: readParams(cursor),
        body: readBody(cursor),
        span: cursor.since(start),
      };
    case 'loss':
      return {
        kind: 'loss',
        name: cursor.name(),
        params: readParams(cursor),
        ...(cursor.take('{') ? { players: cursor.lines('}', readPlayer) } : { value: readValue(cursor) }),
        span: cursor.since(start),
      };
    case 'train':
      return { kind: 'train', ...readRecipe(cursor), span: cursor.since(start) };
    default: {
      const name = cursor.name();
      const params = readParams(cursor);
      const signature = cursor.is(':') ? readSignature(cursor) : undefined;
      const content = cursor.is('{') ? { body: readBody(cursor) } : { value: readValue(cursor) };
      return {
        kind: 'network',
        role: keyword,
        name,
        params,
        ...(signature && { signature }),
        ...content,
        span: cursor.since(start),
      };
    }
  }
}

/** `= Expr` */
function readValue(cursor: Cursor): Expr {
  cursor.need('=');
  return readExpr(cursor);
}

function readBlockName(cursor: Cursor): Name {
  const name = cursor.name();
  if (/^x\d*$/.test(name.text)) {
    fail(`a block cannot be called \`${name.text}\``, {
      span: name.span,
      label: 'in a body this is a repeat',
      help: 'choose another name',
    });
  }
  return name;
}

function readParams(cursor: Cursor): ParamDef[] {
  return cursor.take('(') ? cursor.commas(readParam) : [];
}

function readParam(cursor: Cursor): ParamDef {
  const start = cursor.next;
  const name = cursor.name();
  return { name, ...(cursor.is('=') && { default: readValue(cursor) }), span: cursor.since(start) };
}

function readSignature(cursor: Cursor): Signature {
  const start = cursor.next;
  cursor.need(':');
  const input = readShape(cursor);
  const output = cursor.take('->') && readShape(cursor);
  return { input, ...(output && { output }), span: cursor.since(start) };
}

function readShape(cursor: Cursor): Expr[] {
  cursor.need('(');
  const first = readExpr(cursor);
  if (cursor.take(')')) return [first];
  cursor.need(',');
  return [first, ...cursor.commas(readExpr)];
}

function readPlayer(cursor: Cursor): Setting {
  const start = cursor.next;
  return { key: cursor.name(), values: [readValue(cursor)], bare: false, span: cursor.since(start) };
}

function readRecipe(cursor: Cursor): { settings: Setting[]; stages: Stage[] } {
  const [settings, stages]: [Setting[], Stage[]] = [[], []];
  cursor.need('{');
  cursor.lines('}', () => {
    if (cursor.is('stage') && cursor.isName(1)) stages.push(readStage(cursor));
    else settings.push(readSetting(cursor));
  });
  return { settings, stages };
}

function readStage(cursor: Cursor): Stage {
  const start = cursor.advance();
  const name = cursor.name();
  cursor.need('{');
  return { name, settings: cursor.lines('}', readSetting), span: cursor.since(start) };
}

function readSetting(cursor: Cursor): Setting {
  const start = cursor.next;
  const key = cursor.name();
  if (cursor.take(':')) {
    const values: Expr[] = [];
    do values.push(readExpr(cursor));
    while (cursor.take(','));
    return { key, values, bare: false, span: cursor.since(start) };
  }
  const args = readArgs(cursor);
  const span = cursor.since(start);
  const callee = { kind: 'ref', name: key.text, span: key.span } as const;
  return { key, values: [{ kind: 'call', callee, args, span }], bare: true, span };
}

function readBody(cursor: Cursor): Body {
  const start = cursor.next;
  cursor.need('{');
  return { statements: cursor.lines('}', readStatement), span: cursor.since(start) };
}

function readStatement(cursor: Cursor): Statement {
  const start = cursor.next;
  const label = cursor.isName() && cursor.is('=', 1) ? cursor.name() : undefined;
  if (label) cursor.need('=');
  const callee = readCallee(cursor);
  const args = callee && cursor.is('(') ? readArgs(cursor) : undefined;
  const before = callee && readRepeats(cursor);
  const body = cursor.is('{') || !callee ? readBody(cursor) : undefined;
  const repeat = body ? readRepeats(cursor, before) : before;
  return {
    ...(label && { label }),
    ...(callee && { callee }),
    ...(args && { args }),
    ...(body && { body }),
    ...(repeat && { repeat: { ...repeat, beforeBody: body !== undefined && repeat === before } }),
    span: cursor.since(start),
  };
}

const TIMES = /^x\d+$/;

function readCallee(cursor: Cursor): Name | undefined {
  const isName = cursor.expect(cursor.next.kind === 'name', 'a layer');
  if (TIMES.test(cursor.next.text) || (cursor.is('x') && cursor.is('(', 1))) {
    const { span } = readRepeat(cursor)!;
    fail(`\`${textOf(span)}\` has nothing to repeat`, {
      span,
      label: 'a repeat follows a layer or a body on its line',
      help: 'write it behind: `conv(64) x3` or `{ conv(64); lrelu(0.2) } x3`',
    });
  }
  return isName ? cursor.name() : undefined;
}

type Times = Omit<Repeat, 'beforeBody'>;

/** The repeat that is next, if any; a layer has one. */
function readRepeats(cursor: Cursor, earlier?: Times): Times | undefined {
  const repeat = readRepeat(cursor);
  if (!repeat) return earlier;
  if (earlier) {
    fail('this layer has a repeat already', {
      span: repeat.span,
      notes: [`it is repeated by \`${textOf(earlier.span)}\``],
      help: 'keep one of the two',
    });
  }
  return readRepeats(cursor, repeat);
}

function readRepeat(cursor: Cursor): Times | undefined {
  const start = cursor.next;
  const { text, span } = start;
  if (cursor.expect(TIMES.test(text), 'a repeat')) {
    cursor.advance();
    return { count: numberOf(text.slice(1), { ...span, start: span.start + 1 }), span };
  }
  if (!cursor.take('x')) return undefined;
  cursor.need('(');
  const count = readExpr(cursor);
  cursor.need(')');
  return { count, span: cursor.since(start) };
}

function textOf({ source, start, end }: Span): string {
  return source.text.slice(start, end);
}
