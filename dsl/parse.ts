// Text to syntax tree. scan.ts refuses what no grammar could read, grammar.ts says what a file is, mistakes.ts
// explains where it is not one. The actions here build the tree, and refuse what the grammar reads only so that it can
// be explained well: a repeat on nothing, a repeat given twice, a block that no body could call.

import type { Node, Semantics } from 'ohm-js';
import { fail, type Source } from '../diagnostics.js';
import type {
  Arg,
  Body,
  CallExpr,
  Expr,
  File,
  Item,
  NetworkItem,
  ParamDef,
  RefExpr,
  Setting,
  Signature,
  Stage,
  Statement,
} from './ast.js';
import { expressionActions, type SpanOf } from './expressions.js';
import { sr } from './grammar.js';
import { explain } from './mistakes.js';
import { scan } from './scan.js';

const ROLES: readonly NetworkItem['role'][] = ['generator', 'discriminator', 'perception'];

/**
 * Parses a `.sr` file or throws a `UserError`. A byte order mark is dropped and every line end becomes `\n`: the tree's
 * `source` is that text, and its spans refer to it.
 */
export function parse(written: Source): File {
  const source = { name: written.name, text: written.text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n') };
  const scanned = scan(source);
  const match = sr().match(scanned.layout);
  if (match.failed()) explain(scanned);
  const items: Item[] = semantics(source)(match).items();
  return { source, items, comments: scanned.comments };
}

function semantics(source: Source): Semantics {
  const spanOf: SpanOf = (first, last = first) => ({
    source,
    start: first.source.startIdx,
    end: last.source.endIdx,
  });
  const nameOf = (node: Node) => ({ text: node.sourceString, span: spanOf(node) });
  const paramsOf = (optional: Node): ParamDef[] => optional.children[0]?.params() ?? [];

  function networkOf(role: Node, name: Node, params: Node, signature: Node): Omit<NetworkItem, 'span'> {
    const shapes: Signature | undefined = signature.children[0]?.signature();
    return {
      kind: 'network',
      role: ROLES.find((known) => known === role.sourceString)!,
      name: nameOf(name),
      params: paramsOf(params),
      ...(shapes && { signature: shapes }),
    };
  }

  function bodyAndRepeat(before: readonly Node[], repeatedBody?: Node): Pick<Statement, 'body' | 'repeat'> {
    const [body, after] = repeatedBody?.children ?? [];
    const [repeat, another] = [...before, ...(after?.children ?? [])];
    if (another) {
      fail('this layer has a repeat already', {
        span: spanOf(another),
        notes: [`it is repeated by \`${repeat!.sourceString}\``],
        help: 'keep one of the two',
      });
    }
    return {
      ...(body && { body: body.body() }),
      ...(repeat && {
        repeat: {
          count: repeat.expr(),
          beforeBody: body !== undefined && repeat === before[0],
          span: spanOf(repeat),
        },
      }),
    };
  }

  return sr()
    .createSemantics()
    .addOperation<Expr>('expr', expressionActions(spanOf))
    .addOperation<Expr[]>('exprs', {
      Shape: (_open, values, _close) => values.exprs(),
      Commas: (values, _trailing) => values.asIteration().children.map((value) => value.expr()),
    })
    .addOperation<Arg[]>('args', {
      Args: (_open, list, _close) => elements(list).map((arg) => arg.arg()),
    })
    .addOperation<Arg>('arg', {
      Arg_named(name, _is, value) {
        return { name: nameOf(name), value: value.expr(), span: spanOf(this) };
      },
      Arg_positional(value) {
        return { value: value.expr(), span: spanOf(this) };
      },
    })
    .addOperation<ParamDef[]>('params', {
      Params: (_open, list, _close) => elements(list).map((param) => param.param()),
    })
    .addOperation<ParamDef>('param', {
      Param_optional(name, _is, value) {
        return { name: nameOf(name), default: value.expr(), span: spanOf(this) };
      },
      Param_required(name) {
        return { name: nameOf(name), span: spanOf(this) };
      },
    })
    .addOperation<Signature>('signature', {
      Signature(_colon, input, _arrow, output) {
        const result: Expr[] | undefined = output.children[0]?.exprs();
        return { input: input.exprs(), ...(result && { output: result }), span: spanOf(this) };
      },
    })
    .addOperation<Body>('body', {
      Body(_open, statements, _close) {
        return { statements: lines(statements).map((line) => line.statement()), span: spanOf(this) };
      },
    })
    .addOperation<Statement>('statement', {
      Statement(optionalLabel, layer) {
        const label = optionalLabel.children[0]?.child(0);
        return { ...(label && { label: nameOf(label) }), ...layer.layer(), span: spanOf(this) };
      },
    })
    .addOperation<Omit<Statement, 'label' | 'span'>>('layer', {
      Layer_call(callee, optionalArgs, repeats, repeatedBody) {
        const args: Arg[] | undefined = optionalArgs.children[0]?.args();
        return {
          callee: nameOf(callee),
          ...(args && { args }),
          ...bodyAndRepeat(repeats.children, repeatedBody.children[0]),
        };
      },
      Layer_sequence: (repeatedBody) => bodyAndRepeat([], repeatedBody),
      Layer_nothing(repeats) {
        const repeat = repeats.child(0);
        fail(`\`${repeat.sourceString}\` has nothing to repeat`, {
          span: spanOf(repeat),
          label: 'a repeat follows a layer or a body on its line',
          help: 'write it behind: `conv(64) x3` or `{ conv(64); lrelu(0.2) } x3`',
        });
      },
    })
    .addOperation<Setting>('setting', {
      Setting_keyed(key, _colon, values) {
        const list: Expr[] = values.asIteration().children.map((value) => value.expr());
        return { key: nameOf(key), values: list, bare: false, span: spanOf(this) };
      },
      Setting_bare(name, args) {
        const key = nameOf(name);
        const callee: RefExpr = { kind: 'ref', name: key.text, span: key.span };
        const call: CallExpr = { kind: 'call', callee, args: args.args(), span: spanOf(this) };
        return { key, values: [call], bare: true, span: call.span };
      },
      Player(key, _is, value) {
        return { key: nameOf(key), values: [value.expr()], bare: false, span: spanOf(this) };
      },
    })
    .addOperation<Stage>('stage', {
      Stage(_stage, name, _open, settings, _close) {
        return {
          name: nameOf(name),
          settings: lines(settings).map((line) => line.setting()),
          span: spanOf(this),
        };
      },
    })
    .addOperation<Item>('item', {
      Let(_let, name, _is, value) {
        return { kind: 'let', name: nameOf(name), value: value.expr(), span: spanOf(this) };
      },
      Block(_block, name, params, body) {
        if (/^x\d*$/.test(name.sourceString)) {
          fail(`a block cannot be called \`${name.sourceString}\``, {
            span: spanOf(name),
            label: 'in a body this is a repeat',
            help: 'choose another name',
          });
        }
        return {
          kind: 'block',
          name: nameOf(name),
          params: paramsOf(params),
          body: body.body(),
          span: spanOf(this),
        };
      },
      Network_body(role, name, params, signature, body) {
        return { ...networkOf(role, name, params, signature), body: body.body(), span: spanOf(this) };
      },
      Network_value(role, name, params, signature, _is, value) {
        return { ...networkOf(role, name, params, signature), value: value.expr(), span: spanOf(this) };
      },
      Loss_value(_loss, name, params, _is, value) {
        return {
          kind: 'loss',
          name: nameOf(name),
          params: paramsOf(params),
          value: value.expr(),
          span: spanOf(this),
        };
      },
      Loss_players(_loss, name, params, _open, settings, _close) {
        const players = lines(settings).map((line): Setting => line.setting());
        return { kind: 'loss', name: nameOf(name), params: paramsOf(params), players, span: spanOf(this) };
      },
      Train(_train, _open, recipe, _close) {
        const entries = lines(recipe).map((line) => line.child(0));
        return {
          kind: 'train',
          settings: entries.filter((line) => line.ctorName === 'Setting').map((line) => line.setting()),
          stages: entries.filter((line) => line.ctorName === 'Stage').map((line) => line.stage()),
          span: spanOf(this),
        };
      },
      Blend(_blend, name, _is, value) {
        return { kind: 'blend', name: nameOf(name), value: value.expr(), span: spanOf(this) };
      },
    })
    .addOperation<Item[]>('items', {
      File: (items, _end) => lines(items).map((item) => item.item()),
    });
}

/** The lines of `Lines<…>`. */
function lines(node: Node): Node[] {
  return node.child(1).asIteration().children;
}

/** The elements of `Commas<…>?`. */
function elements(optional: Node): Node[] {
  return optional.children[0]?.child(0).asIteration().children ?? [];
}
