// Text to tokens, and what must be right before grammar matters: characters, strings, numbers and brackets. A line break
// is a token where it separates, just like `;`. A line goes on
// - inside parentheses,
// - when it ends in an operator, `,`, `=` or `->`,
// - when the next one begins with an operator, `->` or `:`,
// but never into a `}`, nor into a line that opens an item (`let`, `block`, …) outside all brackets.

import { fail, type Source, type Span } from '../diagnostics.js';
import type { Comment } from './ast.js';
import { Brackets } from './brackets.js';
import { numberValue } from './numbers.js';

export interface Token {
  readonly kind: 'name' | 'number' | 'string' | 'symbol' | 'newline' | 'end';
  readonly text: string;
  readonly span: Span;
  /** The innermost bracket it stands in; a closing bracket stands in the one it closes. */
  readonly inside?: Token;
}

export interface Scan {
  /** Without comments and without line breaks that separate nothing; the last one is the `end`. */
  readonly tokens: readonly Token[];
  readonly comments: readonly Comment[];
}

/** The words that open an item. */
export const ITEM_KEYWORDS = [
  'let',
  'block',
  'generator',
  'discriminator',
  'perception',
  'loss',
  'train',
  'blend',
] as const;

/** Our largest network has 2500: what is larger is no network. */
const MAX_CHARACTERS = 100_000;

const TOKEN =
  /[ \t]+|\n|\/\/[^\n]*|[A-Za-z_]\w*|\.?\d(?:[eE][+-](?=\d)|[\w.])*|"[^"\n]*"?|->|[-+*/^=:;,.(){}]/y;

const OPERATORS = ['+', '-', '*', '/', '^', '->'];
const GOES_ON_AFTER: ReadonlySet<string> = new Set([...OPERATORS, ',', '=']);
const GOES_ON_BEFORE: ReadonlySet<string> = new Set([...OPERATORS, ':']);
const OPENERS: ReadonlySet<string> = new Set(ITEM_KEYWORDS);

const NAMES_HELP = 'names are made of the letters a to z and A to Z, digits and `_`';
const STRAY_HELP: Readonly<Record<string, string>> = {
  '#': 'a comment begins with `//`',
  "'": 'strings are written in double quotes: `"vgg19.safetensors"`',
  '“': 'strings are written in double quotes: `"vgg19.safetensors"`',
  '[': 'a list is written in parentheses: `(50k, 100k)`',
  '>': 'an arrow is written `->`',
  '×': 'a product is written with `*`, a repeat with `x3`',
};

export function scan(source: Source): Scan {
  if (source.text.length > MAX_CHARACTERS) {
    fail(`${source.name} is too large for a .sr file`, {
      notes: [`it has ${source.text.length} characters, the limit is ${MAX_CHARACTERS}`],
    });
  }
  const { tokens, comments } = tokenize(source);
  return { tokens: withoutIdleLineBreaks(tokens), comments };
}

function tokenize(source: Source): { tokens: Token[]; comments: Comment[] } {
  const tokens: Token[] = [];
  const comments: Comment[] = [];
  const brackets = new Brackets();
  for (let start = 0; start < source.text.length; start = TOKEN.lastIndex) {
    TOKEN.lastIndex = start;
    const text = TOKEN.exec(source.text)?.[0] ?? strayCharacter(source, start);
    const span = { source, start, end: start + text.length };
    if (/^[ \t]/.test(text)) continue;
    if (text.startsWith('//')) {
      const trimmed = text.trimEnd();
      comments.push({ text: trimmed, span: { ...span, end: start + trimmed.length } });
      continue;
    }
    const inside = brackets.innermost;
    const token = { kind: kindOf(text), text, span, ...(inside && { inside }) };
    if (token.kind === 'number') numberValue(text, span);
    if (token.kind === 'string' && !/^".*"$/.test(text)) {
      fail('this string does not end on its line', { span, help: 'close it with `"`' });
    }
    brackets.pass(token);
    tokens.push(token);
  }
  const end = source.text.length;
  tokens.push({ kind: 'end', text: '', span: { source, start: end, end } });
  brackets.end();
  return { tokens, comments };
}

function kindOf(text: string): Token['kind'] {
  if (text === '\n') return 'newline';
  if (text.startsWith('"')) return 'string';
  if (/^\.?\d/.test(text)) return 'number';
  return /^\w/.test(text) ? 'name' : 'symbol';
}

/** Without the line breaks at which a line goes on. */
function withoutIdleLineBreaks(tokens: readonly Token[]): Token[] {
  const next: Token[] = [];
  for (let i = tokens.length - 1; i >= 0; i--)
    next[i] = tokens[i]!.kind === 'newline' ? next[i + 1]! : tokens[i]!;
  let previous = '';
  return tokens.filter((token, i) => {
    if (token.kind !== 'newline') {
      previous = token.text;
      return true;
    }
    const following = next[i]!.text;
    if (token.inside?.text === '(') return false;
    if (following === '}' || following === '' || (!token.inside && OPENERS.has(following))) return true;
    return !GOES_ON_AFTER.has(previous) && !GOES_ON_BEFORE.has(following);
  });
}

function strayCharacter(source: Source, start: number): never {
  const character = String.fromCodePoint(source.text.codePointAt(start) ?? 0);
  const code = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
  const shown = /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character) ? `\`${character}\`` : code;
  const help = /\p{L}/u.test(character) ? NAMES_HELP : STRAY_HELP[character];
  fail(`stray character ${shown}`, {
    span: { source, start, end: start + character.length },
    ...(help && { help }),
  });
}
