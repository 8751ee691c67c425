// A text that is no `.sr` file, in the words of the language: the mistakes people make are a table, tried in order; what
// no row knows is told as "expected …, found …".

import { type Diagnostic, fail } from '../diagnostics.js';
import { ITEM_KEYWORDS, type Token } from './scan.js';
import { didYouMean } from './suggest.js';

export interface Failure {
  readonly found: Token;
  readonly previous: Token | undefined;
  readonly next: Token | undefined;
  /** What could have stood there: `")"` as written, `a name` of a kind. */
  readonly expected: ReadonlySet<string>;
}

export function explain(failure: Failure): never {
  const { span } = failure.found;
  for (const mistake of MISTAKES) {
    const known = mistake(failure);
    if (known) fail(known.message, { span, ...known });
  }
  fail(`expected ${alternatives(failure.expected)}, found ${describe(failure.found)}`, { span });
}

const MISTAKES: readonly ((failure: Failure) => Diagnostic | undefined)[] = [
  function unknownItem({ found, expected }) {
    if (!expected.has('"generator"') || found.kind !== 'name') return;
    const guess = didYouMean(found.text, ITEM_KEYWORDS);
    return {
      message: `\`${found.text}\` begins no item`,
      help: guess ? `did you mean \`${guess}\`?` : `an item begins with ${list(ITEM_KEYWORDS.map(quote))}`,
    };
  },
  function repeatAmongArguments({ found, next, expected }) {
    if (!expected.has('","') || !(/^x\d+$/.test(found.text) || (found.text === 'x' && next?.text === '(')))
      return;
    return {
      message: `the repeat \`${found.text === 'x' ? 'x(…)' : found.text}\` stands inside parentheses`,
      label: 'a repeat follows the whole layer',
      help: 'close the parenthesis first: `conv(64, kernel=9) x3`',
    };
  },
  function missingComma({ found, previous, expected }) {
    if (found.inside?.text !== '(' || !expected.has('","') || !beginsValue(found)) return;
    return {
      message: `missing comma between ${quote(previous!.text)} and ${quote(found.text)}`,
      help: 'separate what stands in parentheses with `,`',
    };
  },
  function colonForEquals({ found, previous, expected }) {
    if (found.text !== ':' || !expected.has('"="')) return;
    return {
      message: 'expected `=`, found `:`',
      help: found.inside?.text === '(' ? `write \`${previous!.text}=…\`` : `write \`${previous!.text} = …\``,
    };
  },
  function equalsForColon({ found, previous, expected }) {
    if (found.text !== '=' || !expected.has('":"')) return;
    return {
      message: 'expected `:`, found `=`',
      help: `a setting is written with a colon: \`${previous!.text}: …\``,
    };
  },
  function misspeltRepeat({ found, previous, expected }) {
    if (previous?.text !== 'x' || !expected.has('"("') || expected.size > 1) return;
    return {
      message: `expected a count after \`x\`, found ${describe(found)}`,
      help: 'a repeat is written `x3` or `x(blocks)`',
    };
  },
  function missingParentheses({ found, previous, expected }) {
    if (
      previous?.kind !== 'name' ||
      !expected.has('"("') ||
      !(found.kind === 'number' || found.kind === 'string')
    )
      return;
    const colon = expected.has('":"');
    return {
      message: `expected ${colon ? '`:`' : '`(`'} after ${quote(previous.text)}, found ${describe(found)}`,
      help: `write \`${previous.text}${colon ? `: ${found.text}` : `(${found.text})`}\``,
    };
  },
  function foreignSymbol({ found, previous }) {
    const help = FOREIGN[`${previous?.text}${found.text}`];
    return help ? { message: `expected a value, found ${describe(found)}`, help } : undefined;
  },
  function twoOnOneLine({ found, expected }) {
    const lineEnds = expected.has('a new line') && !expected.has('a name') && !expected.has('"generator"');
    if (!lineEnds || !beginsValue(found)) return;
    return { message: `expected a new line or \`;\` before ${describe(found)}` };
  },
];

const FOREIGN: Readonly<Record<string, string>> = {
  '/*': 'a comment begins with `//` and ends with its line',
  '**': 'a power is written with `^`',
};

function beginsValue({ kind, text }: Token): boolean {
  return kind === 'name' || kind === 'number' || kind === 'string' || text === '(' || text === '{';
}

const OPERATORS = ['"+"', '"-"', '"*"', '"/"', '"^"', '"."'];

/** Where all of `seen` are expected, `told` is said instead of them and of what `covers` lists. */
const SUMMARIES: readonly { seen: readonly string[]; covers: readonly string[]; told: string }[] = [
  { told: 'an item', seen: ITEM_KEYWORDS.map((word) => `"${word}"`), covers: ['a new line', 'end of input'] },
  { told: 'a layer', seen: ['a layer'], covers: ['a name', '"x"', 'a repeat', '"{"', 'a new line'] },
  { told: 'a value', seen: ['a name', 'a number', 'a string', '"("', '"-"'], covers: [] },
  { told: 'a setting, a stage', seen: ['a name', '"stage"'], covers: ['a new line'] },
  { told: 'a name', seen: ['a name'], covers: ['a new line'] },
  {
    told: 'a new line',
    seen: ['a new line'],
    covers: ['end of input', '"("', '"{"', '"="', '"x"', 'a repeat', ...OPERATORS],
  },
  { told: '`,`', seen: ['","'], covers: ['"("', '"="', ...OPERATORS] },
];

function alternatives(expected: ReadonlySet<string>): string {
  const left = new Set(expected);
  const told: string[] = [];
  for (const { seen, covers, told: summary } of SUMMARIES) {
    if (!seen.every((one) => left.has(one))) continue;
    told.push(summary);
    for (const covered of [...seen, ...covers]) left.delete(covered);
  }
  return list([...told, ...[...left].map((one) => one.replace(/^"(.*)"$/, '`$1`'))]);
}

function describe(token: Token): string {
  if (token.kind === 'end') return 'the end of the file';
  if (token.kind === 'newline') return 'the end of the line';
  return quote(token.text);
}

function quote(text: string): string {
  return `\`${text.length > 40 ? `${text.slice(0, 40)}…` : text}\``;
}

function list(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} or ${parts.at(-1)}`;
}
