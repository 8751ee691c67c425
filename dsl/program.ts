// A `.sr` file as a checked, lowered experiment. Three phases, each reporting all of its errors: names and arities;
// shapes of networks and values of the recipe; what ties them together (losses, stages, blends).

import { fail, type Source } from '../diagnostics.js';
import { isSymbolic } from '../runtime/dims.js';
import type { File, Item, NetworkItem } from './ast.js';
import { type Blend, readBlend } from './blends.js';
import { checkItems } from './check.js';
import type { Loss } from './losses.js';
import { type Module, moduleOf, type Overrides } from './module.js';
import { instantiate, lowerNetwork, type Network, type NetworkDef, type NetworkOptions } from './networks.js';
import { type Experiment, lowerObjectives } from './objectives.js';
import { parse } from './parse.js';
import { Problems } from './problems.js';
import { keyword, type Recipe, readRecipe } from './recipe.js';
import { printShape } from './signature.js';
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
  /** The size of the originals' patches, whatever the recipe says. */
  readonly patch?: number;
}

/** Parses, checks and lowers; throws one `UserError` with every error of the first phase that has any. */
export function load(source: Source, options: LoadOptions = {}): Program {
  const set = new Map(Object.entries(options.set ?? {}));
  const file = parse(source);
  const problems = new Problems();

  const module = moduleOf(file.items, problems, standardLibrary(), set);
  checkItems(file.items, module, problems);
  const generator = problems.attempt(() => onlyGenerator(file, module));
  if (generator) problems.attempt(() => checkSet(set, file.items, generator));
  problems.throwIfAny();

  const experiment = lowerNetworks(file, module, generator!, { set, patch: options.patch }, problems);
  problems.throwIfAny();

  const objectives = lowerObjectives(experiment, module, file.source, problems);
  const stages = experiment.recipe?.stages.map((stage) => stage.name) ?? [];
  const blends = select(file.items, 'blend').flatMap(
    (item) => problems.attempt(() => readBlend(item, stages, module.lets)) ?? [],
  );
  problems.throwIfAny();

  return {
    source: file.source,
    networks: experiment.networks,
    ...objectives,
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

function checkSet(set: Overrides, items: readonly Item[], generator: NetworkItem): void {
  const names = [...generator.params, ...select(items, 'let')].map(({ name }) => name.text);
  for (const name of set.keys()) {
    if (names.includes(name)) continue;
    const near = didYouMean(name, names);
    fail(`there is no \`${name}\` to set`, {
      notes: [`can be set: ${names.join(', ')}`],
      ...(near && { help: `did you mean \`${near}\`?` }),
    });
  }
}

/** The recipe's patch is tied to the generator's scale, and discriminators to the patch: hence the order. */
function lowerNetworks(
  file: File,
  module: Module,
  first: NetworkItem,
  { set, patch }: NetworkOptions,
  problems: Problems,
): Experiment {
  const defs = new Map<string, NetworkDef>();
  const networks: Network[] = [];
  const lower = (item: NetworkItem, size?: number) =>
    problems.attempt(() => {
      const def = instantiate(item, module, { set, patch: size });
      defs.set(def.name, def);
      const network = lowerNetwork(def, file.source);
      if (def.role === 'discriminator') checkPatch(def, size);
      networks.push(network);
    });

  lower(first);
  const scale = networks[0]?.scale;
  if (patch !== undefined && scale !== undefined && patch % scale !== 0)
    problems.add({
      message: `a patch of ${patch} is no multiple of ${scale}, the generator's scale`,
      help: `use ${scale * Math.ceil(patch / scale)}`,
    });
  const [train, second] = select(file.items, 'train');
  if (second) problems.add({ message: 'a file has one recipe', span: keyword(second.span) });
  const recipe =
    train && readRecipe({ recipe: train, env: module.lets, problems, generator: networks[0], patch });
  for (const item of module.networks.values()) {
    if (item !== first) lower(item, recipe?.patch);
  }
  return { networks, defs, ...(recipe && { recipe }) };
}

/** A discriminator that fixes its input must see the recipe's patches. */
function checkPatch({ name, input, signature }: NetworkDef, patch: number | undefined): void {
  if (patch === undefined || isSymbolic(input[1]) || input[1] === patch) return;
  fail(`\`${name}\` does not take the recipe's patches`, {
    span: signature.span,
    label: `it takes ${printShape(input)}`,
    notes: [`the patch is ${patch}`],
    help: `use \`patch: ${input[1]}\`, or (${input[0]}, ${patch}, ${patch}) here`,
  });
}

function numbersIn(lets: ReadonlyMap<string, Value>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...lets].flatMap(([name, value]) => (isSize(value) && typeof value === 'number' ? [[name, value]] : [])),
  );
}
