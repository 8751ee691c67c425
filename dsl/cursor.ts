// A place among the tokens of a file. Whoever reads asks for what may come next, and what was asked for in vain at the
// furthest token is what could have stood there: a refusal needs no more than that (mistakes.ts).

import type { Span } from '../diagnostics.js';
import type { Name } from './ast.js';
import { explain } from './mistakes.js';
import type { Token } from './scan.js';

/** What stands for a text in messages; a word or symbol stands for itself. */
const TOLD: Readonly<Record<string, string>> = { '': 'end of input', '\n': 'a new line', ';': 'a new line' };

export class Cursor {
  readonly #tokens: readonly Token[];
  #at = 0;
  #furthest = 0;
  readonly #expected = new Set<string>();

  /** The last token must be the `end`. */
  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get next(): Token {
    return this.#tokens[this.#at]!;
  }

  /** Whether a token is this word or symbol: the next one, or one behind it. */
  is(text: string, ahead = 0): boolean {
    return this.expect(this.#tokens[this.#at + ahead]?.text === text, TOLD[text] ?? `"${text}"`, ahead);
  }

  isName(ahead = 0): boolean {
    return this.expect(this.#tokens[this.#at + ahead]?.kind === 'name', 'a name', ahead);
  }

  /** `found`; if it is not, then `what` could have stood there. */
  expect(found: boolean, what: string, ahead = 0): boolean {
    const at = this.#at + ahead;
    if (found || at < this.#furthest) return found;
    if (at > this.#furthest) this.#expected.clear();
    this.#furthest = at;
    this.#expected.add(what);
    return false;
  }

  /** The next token, whatever it is. */
  advance(): Token {
    return this.#tokens[this.#at++]!;
  }

  /** Passes this word or symbol if it is next. */
  take(text: string): boolean {
    const found = this.is(text);
    if (found) this.#at++;
    return found;
  }

  need(text: string): void {
    if (!this.take(text)) this.refuse();
  }

  name(): Name {
    if (!this.isName()) this.refuse();
    const { text, span } = this.advance();
    return { text, span };
  }

  /** From `first` to the token before the next. */
  since({ span: { source, start } }: Token): Span {
    return { source, start, end: this.#tokens[this.#at - 1]!.span.end };
  }

  /** What stands from here to `)`, separated by `,`; one may stand behind the last. */
  commas<T>(read: (cursor: Cursor) => T): T[] {
    const list: T[] = [];
    while (!this.take(')')) {
      list.push(read(this));
      if (!this.take(',') && !this.is(')')) this.refuse();
    }
    return list;
  }

  /** The lines from here to `end`, without the empty ones. */
  lines<T>(end: '}' | '', read: (cursor: Cursor) => T): T[] {
    const list: T[] = [];
    for (;;) {
      while (this.#takeSeparator());
      if (this.take(end)) return list;
      list.push(read(this));
      if (!this.is('\n') && !this.is(';') && !this.is(end)) this.refuse();
    }
  }

  refuse(): never {
    const [previous, found, next] = [-1, 0, 1].map((by) => this.#tokens[this.#furthest + by]);
    explain({ found: found!, previous, next, expected: this.#expected });
  }

  #takeSeparator(): boolean {
    return this.take('\n') || this.take(';');
  }
}
