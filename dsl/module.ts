// One file's definitions by name, on top of the standard library's. A definition is always lowered in the module that
// wrote it, so a library block never sees a user's names, and a user may reuse a library name for something new.

import { fail } from '../diagnostics.js';
import type { BlockItem, Item, LetItem, LossItem, NetworkItem } from './ast.js';
import type { Problems } from './problems.js';
import { type Env, evaluate, type Value, visit } from './values.js';

export interface Module {
  /** Where names are looked up that this file does not define. */
  readonly library?: Module;
  readonly blocks: ReadonlyMap<string, BlockItem>;
  readonly networks: ReadonlyMap<string, NetworkItem>;
  readonly losses: ReadonlyMap<string, LossItem>;
  /** The values of its `let`s, with `true` and `false`. */
  readonly lets: Env;
}

/** A definition with the module to lower it in. */
export interface Found<T> {
  readonly module: Module;
  readonly item: T;
}

/** `--set`: new values for parameters of the generator and for `let`s. */
export type Overrides = ReadonlyMap<string, number>;

type Kind = 'blocks' | 'networks' | 'losses';
type Definition<K extends Kind> = Module[K] extends ReadonlyMap<string, infer T> ? T : never;

/** `set` replaces the values of `let`s. */
export function moduleOf(
  items: readonly Item[],
  problems: Problems,
  library?: Module,
  set: Overrides = new Map(),
): Module {
  const lets = new Map<string, Value>([
    ['true', true],
    ['false', false],
  ]);
  for (const item of items) {
    if (item.kind !== 'let') continue;
    const name = item.name.text;
    const value = set.get(name) ?? problems.attempt(() => evaluateLet(item, items, lets));
    // After a mistake any number will do: the phase ends before it is used.
    lets.set(name, value ?? 1);
  }
  return {
    ...(library && { library }),
    blocks: byName(items, (item) => (item.kind === 'block' ? item : undefined)),
    networks: byName(items, (item) => (item.kind === 'network' ? item : undefined)),
    losses: byName(items, (item) => (item.kind === 'loss' ? item : undefined)),
    lets,
  };
}

/** A `let` reads the ones above it. */
function evaluateLet({ value }: LetItem, items: readonly Item[], above: Env): Value {
  visit(value, (part) => {
    if (part.kind !== 'ref' || above.has(part.name)) return;
    const below = items.find((item) => item.kind === 'let' && item.name.text === part.name);
    if (below) fail(`\`${part.name}\` is defined below`, { span: part.span, help: 'move it up' });
  });
  return evaluate(value, above);
}

function byName<T extends BlockItem | NetworkItem | LossItem>(
  items: readonly Item[],
  select: (item: Item) => T | undefined,
): ReadonlyMap<string, T> {
  return new Map(items.flatMap((item) => select(item) ?? []).map((item) => [item.name.text, item]));
}

export function find<K extends Kind>(
  module: Module,
  kind: K,
  name: string,
): Found<Definition<K>> | undefined {
  const definitions: ReadonlyMap<string, BlockItem | NetworkItem | LossItem> = module[kind];
  const item = definitions.get(name);
  if (item) return { module, item: item as Definition<K> };
  return module.library && find(module.library, kind, name);
}

/** All names of a kind that `module` can use. */
export function namesOf(module: Module, kind: Kind): string[] {
  return [...module[kind].keys(), ...(module.library ? namesOf(module.library, kind) : [])];
}
