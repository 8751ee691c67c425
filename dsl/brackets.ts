// Brackets pair before grammar is asked, because a grammar notices a forgotten one only far behind it.

import { fail, locate, printLoc, type Span } from '../diagnostics.js';
import type { Token } from './scan.js';

/** Keeps whoever recurses, the parser first, off the end of the stack; nobody nests as deep. */
const MAX_NESTING = 32;

export class Brackets {
  readonly #open: Token[] = [];
  /** The first brace that closed one of another indentation: where a brace is missing, it shows there first. */
  #misaligned: { readonly opener: Token; readonly closer: Token } | undefined;

  get innermost(): Token | undefined {
    return this.#open.at(-1);
  }

  pass(token: Token): void {
    if (token.text === '(' || token.text === '{') this.#enter(token);
    if (token.text === ')' || token.text === '}') this.#leave(token);
  }

  end(): void {
    const opener = this.innermost;
    if (!opener) return;
    const hint = this.#misaligned;
    fail(`this \`${opener.text}\` is never closed`, {
      span: opener.span,
      ...(hint && {
        notes: [
          `\`}\` at ${at(hint.closer)} closes \`{\` at ${at(hint.opener)}, but is not indented like it`,
        ],
      }),
    });
  }

  #enter(token: Token): void {
    if (this.#open.length === MAX_NESTING) {
      fail(`brackets nest more than ${MAX_NESTING} deep`, {
        span: token.span,
        help: token.text === '(' ? 'name a part of it with `let`' : 'make the inner part a `block`',
      });
    }
    this.#open.push(token);
  }

  #leave(token: Token): void {
    const opener = this.#open.pop();
    if (!opener) fail(`this \`${token.text}\` closes nothing`, { span: token.span });
    if (opener.text !== (token.text === ')' ? '(' : '{')) {
      fail(`this \`${opener.text}\` is not closed`, {
        span: opener.span,
        notes: [`\`${token.text}\` at ${at(token)} closes what is outside it`],
      });
    }
    const before = lineBefore(token.span);
    const startsLine = /^[ \t]*$/.test(before);
    if (startsLine && before !== /^[ \t]*/.exec(lineBefore(opener.span))?.[0]) {
      this.#misaligned ??= { opener, closer: token };
    }
  }
}

/** What stands on the line before the span. */
function lineBefore({ source: { text }, start }: Span): string {
  return text.slice(text.lastIndexOf('\n', start) + 1, start);
}

function at(token: Token): string {
  return printLoc(locate(token.span));
}
