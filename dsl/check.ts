// Names and arities, before any shape is computed: every layer, block, parameter and value that a file mentions exists
// and is called as it is declared, whether or not it is ever used. Lowering relies on it.

import { fail, type Span } from '../diagnostics.js';
import type {
  BlockItem,
  Body,
  Expr,
  Item,
  LossItem,
  Name,
  NetworkItem,
  ParamDef,
  Setting,
  Statement,
} from './ast.js';
import { bind, type Declared, declaredBy } from './binding.js';
import { COMBINATORS, LAYERS } from './layers.js';
import { FUNCTIONS } from './loss-functions.js';
import { find, type Module, namesOf } from './module.js';
import { declared, type Params } from './params.js';
import type { Problems } from './problems.js';
import { didYouMean } from './suggest.js';
import { position, unknownName, visit } from './values.js';

/** Values that every body has; a parameter or a label may take their names, a `let` would not be seen. */
const BODY_NAMES = ['input', 'channels', 'height', 'width'];
export const PLAYERS = ['generator', 'discriminator'] as const;

/** Names that mean something already where an item's own name would be used. */
const TAKEN: Readonly<Partial<Record<Item['kind'], ReadonlySet<string>>>> = {
  let: new Set([...BODY_NAMES, 'h', 'w', 'sr', 'hr', 'true', 'false']),
  block: new Set([...LAYERS.keys(), ...COMBINATORS.keys()]),
  network: new Set([...FUNCTIONS.keys(), 'sr', 'hr']),
  loss: new Set([...FUNCTIONS.keys(), 'sr', 'hr']),
};

/** What a signature calls the height and width that an image brings. */
const SIZES: ReadonlySet<string> = new Set(['h', 'w']);

export function checkItems(items: readonly Item[], module: Module, problems: Problems): void {
  const named = items.flatMap((item) => (item.kind === 'train' ? [] : { kind: item.kind, name: item.name }));
  checkUnique(
    named.map(({ name }) => name),
    problems,
  );
  const sizes = items.flatMap((item) =>
    item.kind === 'network' ? item.params.map(({ name }) => name).filter(({ text }) => SIZES.has(text)) : [],
  );
  const taken = named.filter(({ kind, name }) => TAKEN[kind]?.has(name.text)).map(({ name }) => name);
  for (const { text, span } of [...taken, ...sizes]) {
    problems.add({ message: `\`${text}\` already has a meaning`, span, help: 'choose another name' });
  }
  for (const item of items) {
    if (item.kind === 'block') checkDefinition(item, item.body, module, problems);
    if (item.kind === 'network' && item.body) checkDefinition(item, item.body, module, problems);
    if (item.kind === 'network' && !item.body)
      checkParams(item.params, new Set(module.lets.keys()), problems);
    if (item.kind === 'loss') checkLoss(item, module, problems);
  }
}

function checkUnique(names: readonly (Name | undefined)[], problems: Problems): void {
  const first = new Map<string, Span>();
  for (const name of names) {
    if (!name) continue;
    const earlier = first.get(name.text);
    if (!earlier) first.set(name.text, name.span);
    else {
      const notes = [`the first one is at ${position(earlier, name.span.source)}`];
      problems.add({ message: `\`${name.text}\` is defined twice`, span: name.span, notes });
    }
  }
}

/** A block or a network with a body: its names are its parameters, the `let`s above it, and what enters. */
function checkDefinition(
  { params }: BlockItem | NetworkItem,
  body: Body,
  module: Module,
  problems: Problems,
): void {
  const names = new Set([...module.lets.keys(), ...BODY_NAMES]);
  checkParams(params, names, problems);
  for (const { name } of params) names.add(name.text);
  checkBody(body, names, module, problems);
}

function checkParams(params: readonly ParamDef[], visible: ReadonlySet<string>, problems: Problems): void {
  const names = new Set(visible);
  checkUnique(
    params.map(({ name }) => name),
    problems,
  );
  for (const param of params) {
    if (param.default) checkNames(param.default, names, problems);
    names.add(param.name.text);
  }
}

function checkBody(body: Body, around: ReadonlySet<string>, module: Module, problems: Problems): void {
  const names = new Set(around);
  checkUnique(
    body.statements.map(({ label }) => label),
    problems,
  );
  for (const statement of body.statements) {
    checkStatement(statement, names, module, problems);
    if (statement.label) names.add(statement.label.text);
  }
}

function checkStatement(
  statement: Statement,
  names: ReadonlySet<string>,
  module: Module,
  problems: Problems,
): void {
  const { callee, args = [], body, repeat, span } = statement;
  if (repeat) checkNames(repeat.count, names, problems);
  if (callee) {
    const params = problems.attempt(() => calleeParams(callee, body !== undefined, module));
    const bound = params && problems.attempt(() => bind(callee.text, params.declared, args, span));
    for (const [name, value] of bound ?? []) {
      checkNames(value, names, problems, { words: params?.typed?.[name]?.words });
    }
  }
  if (body) checkBody(body, names, module, problems);
}

interface CalleeParams {
  readonly declared: readonly Declared[];
  readonly typed?: Params;
}

function calleeParams({ text, span }: Name, hasBody: boolean, module: Module): CalleeParams {
  const combinator = COMBINATORS.get(text);
  const layer = LAYERS.get(text);
  const block = find(module, 'blocks', text);
  if (!combinator && !layer && !block) {
    const near = didYouMean(text, [...LAYERS.keys(), ...COMBINATORS.keys(), ...namesOf(module, 'blocks')]);
    return fail(hasBody ? `unknown combinator \`${text}\`` : `unknown layer or block \`${text}\``, {
      span,
      help: near ? `did you mean \`${near}\`?` : `define it: \`block ${text} { … }\``,
    });
  }
  if (combinator && !hasBody) fail(`\`${text}\` needs a body`, { span, help: `write \`${text} { … }\`` });
  if (!combinator && hasBody) {
    fail(`\`${text}\` takes no body`, {
      span,
      help: 'residual and dense take one; a bare `{ … }` is a sequence',
    });
  }
  const row = combinator ?? layer;
  return row
    ? { declared: declared(row.params), typed: row.params }
    : { declared: declaredBy(block!.item.params) };
}

/**
 * Every name that `expr` reads is visible, or one of the `words` that mean something there. It may call `functions`;
 * without them it is arithmetic.
 */
function checkNames(
  expr: Expr,
  names: ReadonlySet<string>,
  problems: Problems,
  { words = [], functions }: { words?: readonly string[] | undefined; functions?: ReadonlySet<string> } = {},
): void {
  const called = new Set<Expr>();
  visit(expr, (part) => {
    if (part.kind === 'call') {
      called.add(part.callee);
      if (!functions)
        problems.add({
          message: 'only numbers can be computed here',
          span: part.span,
          label: 'this is a call',
        });
    }
    if (part.kind !== 'ref' || words.includes(part.name)) return;
    const known = called.has(part) ? functions : names;
    if (known && !known.has(part.name)) {
      problems.attempt(() => unknownName(part.name, part.span, words.length > 0 ? words : known));
    }
  });
}

function checkLoss(item: LossItem, module: Module, problems: Problems): void {
  const names = new Set([
    'sr',
    'hr',
    ...module.lets.keys(),
    ...module.networks.keys(),
    ...namesOf(module, 'losses'),
  ]);
  const check = (expr: Expr) => {
    checkNames(expr, names, problems, { functions: new Set([...names, ...FUNCTIONS.keys()]) });
  };
  checkUnique(
    item.params.map(({ name }) => name),
    problems,
  );
  for (const param of item.params) {
    if (param.default) check(param.default);
    names.add(param.name.text);
  }
  if (item.value) check(item.value);
  if (item.players) checkPlayers(item, item.players, check, problems);
}

function checkPlayers(
  item: LossItem,
  players: readonly Setting[],
  check: (expr: Expr) => void,
  problems: Problems,
): void {
  checkUnique(
    players.map(({ key }) => key),
    problems,
  );
  for (const { key, values } of players) {
    for (const value of values) check(value);
    if (PLAYERS.some((player) => player === key.text)) continue;
    const near = didYouMean(key.text, PLAYERS);
    problems.add({
      message: `no player is called \`${key.text}\``,
      span: key.span,
      help: near ? `did you mean \`${near}\`?` : 'the players are generator and discriminator',
    });
  }
  for (const player of PLAYERS) {
    if (players.some(({ key }) => key.text === player)) continue;
    problems.add({
      message: `loss \`${item.name.text}\` has no objective for the ${player}`,
      span: item.name.span,
    });
  }
}
