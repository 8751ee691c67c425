// Whatever the text: a tree or a `UserError`, soon; and every tree survives formatting.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { render, UserError } from '../../diagnostics.js';
import type { File } from '../../dsl/ast.js';
import { format } from '../../dsl/format.js';
import { parse } from '../../dsl/parse.js';
import { isInGrammar } from './grammar.js';
import { outline, program } from './programs.js';

const RUNS = 120;

/** The parser's own verdict: what it says of grammar, not of tokens, numbers or depth. */
function agreesWithGrammar(text: string): void {
  let expected: boolean;
  try {
    expected = isInGrammar(text);
  } catch {
    return; // its tokens are wrong already
  }
  let actual = true;
  try {
    read(text);
  } catch {
    actual = false;
  }
  expect(actual).toBe(expected);
}

const read = (text: string): File => parse({ name: 'fuzz.sr', text });

function survives(text: string): void {
  let file: File;
  try {
    file = read(text);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const { span } of error.diagnostics) {
      expect(span!.start).toBeLessThanOrEqual(span!.end);
      expect(span!.end).toBeLessThanOrEqual(span!.source.text.length);
    }
    expect(render(error)).toMatch(/^error: /);
    return;
  }
  roundTrips(file);
}

function roundTrips(file: File): void {
  const formatted = format(file);
  const again = read(formatted);
  expect(outline(again)).toBe(outline(file));
  expect(format(again)).toBe(formatted);
}

const soup = fc
  .array(
    fc.oneof(
      fc.constantFrom('let', 'block', 'generator', 'loss', 'train', 'stage', 'blend', 'conv', 'x', 'x3', 'f'),
      fc.constantFrom('(', ')', '{', '}', '=', ':', ',', ';', '\n', '.', '+', '-', '*', '/', '^', '->', '//'),
      fc.constantFrom('3', '0.2', '5e-3', '1M', '9x3', '1.', '"a"', '"', '\t', '\r\n', '@', 'é'),
    ),
    { maxLength: 40 },
  )
  .chain((tokens) => fc.constantFrom('', ' ').map((blank) => tokens.join(blank)));

const mutant = fc
  .tuple(
    program,
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 6 }), fc.string({ maxLength: 3 })), { maxLength: 3 }),
  )
  .map(([text, edits]) =>
    edits.reduce((old, [at, length, insertion]) => {
      const start = at % (old.length + 1);
      return old.slice(0, start) + insertion + old.slice(start + length);
    }, text),
  );

describe('never anything but a tree or a UserError', () => {
  test.each<[string, fc.Arbitrary<string>]>([
    ['random text', fc.string({ unit: 'binary', maxLength: 200 })],
    ['token soup', soup],
    ['mutated programs', mutant],
  ])('%s', (_name, texts) => {
    fc.assert(fc.property(texts, survives), { numRuns: RUNS });
  });
});

test('what parses is what the grammar says', () => {
  for (const texts of [soup, mutant, program])
    fc.assert(fc.property(texts, agreesWithGrammar), { numRuns: 3 * RUNS });
});

test('programs of any layout parse, and survive formatting with their comments', () => {
  fc.assert(
    fc.property(program, (text) => roundTrips(read(text))),
    { numRuns: RUNS },
  );
});
