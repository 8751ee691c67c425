// The standard library as a module: parsed and checked once, on first use, by the same code as a user's file.

import { checkItems } from './check.js';
import { LIBRARY } from './library/index.js';
import { type Module, moduleOf } from './module.js';
import { parse } from './parse.js';
import { Problems } from './problems.js';

let library: Module | undefined;

export function standardLibrary(): Module {
  if (!library) {
    const problems = new Problems();
    const items = LIBRARY.flatMap((source) => parse(source).items);
    library = moduleOf(items, problems);
    checkItems(items, library, problems);
    problems.throwIfAny();
  }
  return library;
}
