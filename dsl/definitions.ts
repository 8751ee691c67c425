// What `src show NAME` prints: the library's own text of a block, network or loss, or a builtin's call and what it does.

import { fail } from '../diagnostics.js';
import type { Item } from './ast.js';
import { degradations } from './degradations.js';
import { COMBINATORS, LAYERS } from './layers.js';
import { FUNCTIONS } from './loss-functions.js';
import type { Callable, Param } from './params.js';
import { AVERAGES, CLIPS, OPTIMIZERS, SCHEDULES } from './recipe-calls.js';
import { standardLibrary } from './standard.js';
import { didYouMean } from './suggest.js';

export function definitionOf(name: string): string {
  const definitions = allDefinitions();
  const found = definitions.get(name);
  if (found) return found();
  const near = didYouMean(name, definitions.keys());
  return fail(`nothing is called \`${name}\``, {
    help: near ? `did you mean \`${near}\`?` : `there are ${[...definitions.keys()].sort().join(', ')}`,
  });
}

export function definitionNames(): string[] {
  return [...allDefinitions().keys()];
}

function allDefinitions(): ReadonlyMap<string, () => string> {
  const { blocks, networks, losses } = standardLibrary();
  const items = [...blocks.values(), ...networks.values(), ...losses.values()];
  const rows: Callable<unknown>[] = [
    LAYERS,
    COMBINATORS,
    degradations(),
    OPTIMIZERS,
    SCHEDULES,
    AVERAGES,
    CLIPS,
  ].flatMap((table) => [...table.values()]);
  return new Map([
    ...[...FUNCTIONS].map(
      ([name, { params, doc }]) => [name, () => `${name}(${params.join(', ')})  // ${doc}\n`] as const,
    ),
    ...rows.map((row) => [row.name, () => `${signatureOf(row)}  // ${row.doc}\n`] as const),
    ...items.map((item) => [item.name.text, () => textOf(item)] as const),
  ]);
}

/** As wide as files are formatted. */
const WIDTH = 110;

/** `conv(features, kernel=3, stride=1, pad=?, bias=true, init=?, spectral=false)`, on as many lines as it needs. */
function signatureOf({ name, params }: Callable<unknown>): string {
  const lines = [`${name}(`];
  const printed = Object.entries(params).map(([param, row]) => printParam(param, row));
  printed.forEach((param, i) => {
    const text = i < printed.length - 1 ? `${param},` : `${param})`;
    const last = lines.at(-1)!;
    const space = last.endsWith(',') ? ' ' : '';
    if (last.length + space.length + text.length <= WIDTH) lines[lines.length - 1] = last + space + text;
    else lines.push(`  ${text}`);
  });
  return lines.join('\n') + (printed.length === 0 ? ')' : '');
}

function printParam(name: string, { fallback, rest }: Param<unknown>): string {
  if (rest) return `${name}, …`;
  if (!fallback) return name;
  const { value } = fallback;
  return `${name}=${value === undefined ? '?' : Array.isArray(value) ? `(${value.join(', ')})` : value}`;
}

/** The definition with the comment above it. */
function textOf({ span: { source, start, end } }: Item): string {
  const comment = /(?:(?<=^|\n)\/\/.*\n)*$/.exec(source.text.slice(0, start))?.[0] ?? '';
  return `${comment}${source.text.slice(start, end)}\n`;
}
