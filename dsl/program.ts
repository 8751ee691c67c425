// A `.sr` file as a checked, lowered experiment. Three phases, each reporting all of its errors: names and arities;
// shapes of networks and values of the recipe; what ties them together (losses, stages, blends).

import type { Source } from '../diagnostics.js';
import { checkItems } from './check.js';
import { moduleOf } from './module.js';
import { instantiate, lowerNetwork, type Network } from './networks.js';
import { parse } from './parse.js';
import { Problems } from './problems.js';
import { standardLibrary } from './standard.js';

export interface Program {
  readonly source: Source;
  readonly networks: readonly Network[];
}

export interface LoadOptions {
  /** New values for parameters of the generator and for top-level `let`s. */
  readonly set?: Readonly<Record<string, number>>;
}

export function load(source: Source, { set = {} }: LoadOptions = {}): Program {
  const { items } = parse(source);
  const problems = new Problems();
  const module = moduleOf(items, problems, standardLibrary(), set);
  checkItems(items, module, problems);
  problems.throwIfAny();
  const networks = [...module.networks.values()].flatMap(
    (item) => problems.attempt(() => lowerNetwork(instantiate(item, module, { set }), source)) ?? [],
  );
  problems.throwIfAny();
  return { source, networks };
}
