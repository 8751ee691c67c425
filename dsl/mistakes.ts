// A failed match, in the words of the language: the mistakes people make are a table, tried in order; what no row
// knows is told as "expected …, found …".

import { type Diagnostic, fail, internal } from '../diagnostics.js';
import { ITEM_KEYWORDS, sr } from './grammar.js';
import type { Scan, Token } from './scan.js';
import { didYouMean } from './suggest.js';

// Ohm makes its own message from these; its type declarations leave them out.
declare module 'ohm-js' {
  interface FailedMatchResult {
    getRightmostFailures(): readonly { toString(): string }[];
  }
}

interface Failure {
  readonly found: Token;
  readonly previous: Token | undefined;
  readonly next: Token | undefined;
  /** What could have stood there, in Ohm's words: `")"`, `a name`. */
  readonly expected: ReadonlySet<string>;
}

/** Throws what is wrong with a text that the grammar does not match. */
export function explain(scanned: Scan): never {
  const failure = locateFailure(scanned);
  for (const mistake of MISTAKES) {
    const known = mistake(failure);
    if (known) fail(known.message, { span: failure.found.span, ...known });
  }
  fail(`expected ${alternatives(failure.expected)}, found ${describe(failure.found)}`, {
    span: failure.found.span,
  });
}

function locateFailure({ tokens, layout }: Scan): Failure {
  const match = sr.match(layout);
  if (!match.failed()) internal('a text that matches has no syntax error');
  const position = match.getRightmostFailurePosition();
  const index = tokens.findIndex((token) => token.span.end > position || token.kind === 'end');
  const found = tokens[index]!;
  // Ohm knows only what it looked for at the last position, which may be inside the token. In place of the token put a
  // character that begins none: then it looks for everything that could stand here, and for nothing else.
  const probe = sr.match(`${layout.slice(0, found.span.start)}\0`);
  const failures = probe.failed() ? probe.getRightmostFailures() : [];
  return {
    found,
    previous: tokens[index - 1],
    next: tokens[index + 1],
    expected: new Set(failures.map((failure) => failure.toString())),
  };
}

const VALUE_BEGINS: ReadonlySet<Token['kind']> = new Set(['name', 'number', 'string']);

const MISTAKES: readonly ((failure: Failure) => Diagnostic | undefined)[] = [unknownItem];

function unknownItem({ found, expected }: Failure): Diagnostic | undefined {
  if (!expected.has('"generator"') || found.kind !== 'name') return undefined;
  const guess = didYouMean(found.text, ITEM_KEYWORDS);
  return {
    message: `no item begins with \`${found.text}\``,
    help: guess ? `did you mean \`${guess}\`?` : `an item begins with ${list(ITEM_KEYWORDS.map(quote))}`,
  };
}

function alternatives(expected: ReadonlySet<string>): string {
  return list([...expected]);
}

function describe(token: Token): string {
  if (token.kind === 'end') return 'the end of the file';
  if (token.kind === 'newline') return 'the end of the line';
  return quote(token.text);
}

function quote(text: string): string {
  return `\`${text}\``;
}

function list(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} or ${parts.at(-1)}`;
}
