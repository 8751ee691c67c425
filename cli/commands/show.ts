// `src show`: a definition of the standard library.

import { Command } from 'commander';
import { definitionNames, definitionOf } from '../../dsl/index.js';
import { type Io, write } from '../io.js';

export function showCommand({ stdout }: Io): Command {
  return new Command('show')
    .description('print a definition of the standard library; without a name, all names')
    .argument('[name]', 'a block, network, loss or builtin: rrdb, vgg19, ragan, conv, …')
    .action((name?: string) => write(stdout, name === undefined ? allNames() : definitionOf(name)));
}

/** By what they are, which the first word of a definition in `.sr` says. */
function allNames(): string {
  const groups = new Map<string, string[]>();
  for (const name of definitionNames()) {
    const kind =
      /^(block|generator|discriminator|perception|loss) /m.exec(definitionOf(name))?.[1] ?? 'builtin';
    groups.set(kind, [...(groups.get(kind) ?? []), name]);
  }
  return [...groups]
    .map(
      ([kind, names]) =>
        `${kind}\n${names
          .sort()
          .map((name) => `  ${name}\n`)
          .join('')}`,
    )
    .join('\n');
}
