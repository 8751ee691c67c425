// `src show`: a definition of the standard library.

import { definitionNames, definitionOf } from '../../dsl/index.js';
import { type Io, write } from '../io.js';

export async function show({ stdout }: Io, name?: string): Promise<void> {
  await write(stdout, name === undefined ? overview() : definitionOf(name));
}

/** How each definition in `.sr` is called, then the builtins, which are one line each. */
function overview(): string {
  const texts = definitionNames()
    .sort()
    .map((name) => definitionOf(name).trimEnd());
  const written = texts.flatMap((text) => HEAD.exec(text)?.[0] ?? []);
  const builtins = texts.filter((text) => !HEAD.test(text));
  return `${[...written.sort(), '', ...builtins].join('\n')}\n`;
}

const HEAD = /^(block|generator|discriminator|perception|loss) \w+(\(([^()]|\([^()]*\))*\))?/m;
