// A `.sr` file as a checked, lowered experiment. Three phases, each reporting all of its errors: names and arities;
// shapes of networks and values of the recipe; what ties them together (losses, stages, blends).

import { fail, internal, type Source, type Span } from '../diagnostics.js';
import { sym } from '../runtime/dims.js';
import type { Expr, File, Item, NetworkItem } from './ast.js';
import { type Blend, readBlend } from './blends.js';
import { checkItems } from './check.js';
import { type Loss, type LossContext, lowerLoss } from './losses.js';
import { type Module, moduleOf } from './module.js';
import { instantiate, lowerNetwork, type Network, type NetworkDef, type Shape } from './networks.js';
import { parse } from './parse.js';
import { Problems } from './problems.js';
import { type Recipe, readRecipe, type Stage } from './recipe.js';
import { standardLibrary } from './standard.js';
import { didYouMean } from './suggest.js';
import { isSize, type Value } from './values.js';

export interface Program {
  readonly source: Source;
  /** The generator first, then the others as written. */
  readonly networks: readonly Network[];
  /** The file's own losses that need no arguments, and what its stages minimise. */
  readonly losses: readonly Loss[];
  readonly recipe?: Recipe<Loss>;
  readonly blends: readonly Blend[];
  /** The values of its `let`s. */
  readonly lets: Readonly<Record<string, number>>;
}

export interface LoadOptions {
  /** New values for parameters of the generator and for top-level `let`s. */
  readonly set?: Readonly<Record<string, number>>;
}

type Set = Readonly<Record<string, number>>;

/** Parses, checks and lowers; throws one `UserError` with every error of the first phase that has any. */
export function load(source: Source, { set = {} }: LoadOptions = {}): Program {
  const file = parse(source);
  const problems = new Problems();

  const module = moduleOf(file.items, problems, standardLibrary(), set);
  checkItems(file.items, module, problems);
  const generator = problems.attempt(() => onlyGenerator(file, module));
  if (generator) problems.attempt(() => checkSet(set, file.items, generator));
  problems.throwIfAny();

  const lowered = lowerNetworks(file, module, generator!, set, problems);
  problems.throwIfAny();

  const losses = lowerLosses(file, module, lowered, problems);
  const stages = lowered.recipe?.stages.map((stage) => stage.name) ?? [];
  const blends = select(file.items, 'blend').flatMap(
    (item) => problems.attempt(() => readBlend(item, stages, module.lets)) ?? [],
  );
  problems.throwIfAny();

  return {
    source: file.source,
    networks: lowered.networks,
    losses: losses.all,
    ...(losses.recipe && { recipe: losses.recipe }),
    blends,
    lets: numbersIn(module.lets),
  };
}

function select<K extends Item['kind']>(items: readonly Item[], kind: K): Extract<Item, { kind: K }>[] {
  return items.filter((item): item is Extract<Item, { kind: K }> => item.kind === kind);
}

function onlyGenerator({ source }: File, { networks }: Module): NetworkItem {
  const [first, second] = [...networks.values()].filter((item) => item.role === 'generator');
  if (second)
    fail('a file describes one generator', {
      span: second.name.span,
      help: 'put the other one into its own file',
    });
  return (
    first ??
    fail(`${source.name} has no generator`, {
      help: 'write `generator name : (3, h, w) -> (3, 4*h, 4*w) { … }`',
    })
  );
}

function checkSet(set: Set, items: readonly Item[], generator: NetworkItem): void {
  const names = [...generator.params, ...select(items, 'let')].map(({ name }) => name.text);
  for (const name of Object.keys(set)) {
    if (names.includes(name)) continue;
    const near = didYouMean(name, names);
    fail(`there is no \`${name}\` to set`, {
      notes: [`can be set: ${names.join(', ')}`],
      ...(near && { help: `did you mean \`${near}\`?` }),
    });
  }
}

interface Lowered {
  readonly networks: readonly Network[];
  readonly defs: ReadonlyMap<string, NetworkDef>;
  readonly recipe?: Recipe<Expr>;
}

/** The recipe's patch is tied to the generator's scale, and discriminators to the patch: hence the order. */
function lowerNetworks(
  file: File,
  module: Module,
  first: NetworkItem,
  set: Set,
  problems: Problems,
): Lowered {
  const defs = new Map<string, NetworkDef>();
  const networks: Network[] = [];
  const lower = (item: NetworkItem, patch?: number) =>
    problems.attempt(() => {
      const def = instantiate(item, module, { set, patch });
      defs.set(def.name, def);
      networks.push(lowerNetwork(def, file.source));
    });

  lower(first);
  const [train, second] = select(file.items, 'train');
  if (second)
    problems.add({ message: 'a file has one recipe', span: { ...second.span, end: second.span.start + 5 } });
  const recipe = train && readRecipe(train, module.lets, problems, networks[0]?.scale);
  for (const item of module.networks.values()) {
    if (item !== first) lower(item, recipe?.patch);
  }
  return { networks, defs, ...(recipe && { recipe }) };
}

interface LoweredLosses {
  readonly all: readonly Loss[];
  readonly recipe?: Recipe<Loss>;
}

function lowerLosses(
  file: File,
  module: Module,
  { networks, defs, recipe }: Lowered,
  problems: Problems,
): LoweredLosses {
  const context: LossContext = {
    module,
    source: file.source,
    networks: defs,
    image: imageOf(networks, recipe?.patch),
  };
  const named = new Map<string, Loss>();
  const lower = (name: string, span: Span): Loss => {
    const loss = named.get(name) ?? lowerLoss(name, { kind: 'ref', name, span }, context);
    named.set(name, loss);
    return loss;
  };
  for (const { name, params } of module.losses.values()) {
    if (params.every((param) => param.default)) problems.attempt(() => lower(name.text, name.span));
  }
  const unnamed: Loss[] = [];
  const stages = recipe?.stages.flatMap((stage): Stage<Loss> | [] => {
    const { minimize } = stage;
    const name = minimize.kind === 'ref' ? minimize.name : undefined;
    const loss = problems.attempt(() =>
      name === undefined ? lowerLoss(stage.name, minimize, context) : lower(name, minimize.span),
    );
    if (!loss) return [];
    if (name === undefined) unnamed.push(loss);
    problems.attempt(() => checkPatch(stage, loss, networks));
    return { ...stage, minimize: loss };
  });
  return {
    all: [...named.values(), ...unnamed],
    ...(recipe && { recipe: { ...recipe, stages: stages ?? [] } }),
  };
}

/** `sr` and `hr`: a patch of the generator's output; without a recipe, what a discriminator of fixed size takes. */
function imageOf(networks: readonly Network[], patch: number | undefined): Shape {
  const [channels] = networks.find(({ role }) => role === 'generator')?.output ?? internal('no generator');
  const fixed = networks.find(({ role, input }) => role === 'discriminator' && typeof input[1] === 'number');
  if (patch !== undefined) return [channels, patch, patch];
  return fixed ? [channels, fixed.input[1], fixed.input[2]] : [channels, sym('h'), sym('w')];
}

/** A discriminator of fixed size sees patches of that size only. */
function checkPatch({ name, patch, minimize }: Stage<Expr>, loss: Loss, networks: readonly Network[]): void {
  for (const network of networks) {
    const [, height] = network.input;
    if (!loss.networks.includes(network.name) || typeof height !== 'number' || height === patch) continue;
    fail(`stage \`${name}\` shows \`${network.name}\` patches of another size`, {
      span: minimize.span,
      notes: [`\`${network.name}\` takes ${height}, the stage's patch is ${patch}`],
      help: `use a patch of ${height} in this stage`,
    });
  }
}

function numbersIn(lets: ReadonlyMap<string, Value>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...lets].flatMap(([name, value]) => (isSize(value) && typeof value === 'number' ? [[name, value]] : [])),
  );
}
