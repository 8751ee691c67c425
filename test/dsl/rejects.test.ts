// Programs that are refused, with the whole message as a user reads it. The cases are text: rejects/*.txt.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { render, UserError } from '../../diagnostics.js';
import { load } from '../../dsl/index.js';

const folder = new URL('rejects/', import.meta.url);

interface Case {
  readonly name: string;
  readonly text: string;
  readonly message: string;
}

/** `=== name`, the program, `--- rejected`, the message. */
function casesIn(file: string): Case[] {
  const sections = readFileSync(new URL(file, folder), 'utf8').split(/^=== /m).slice(1);
  return sections.map((section) => {
    const [, name, text, message] = /^(.*)\n([\s\S]*\n)--- rejected\n([\s\S]*)$/.exec(section)!;
    return { name: name!, text: text!, message: message! };
  });
}

function messageOf(text: string, set: Readonly<Record<string, number>> = {}): string {
  try {
    load({ name: 'mine.sr', text }, { set });
    return 'accepted';
  } catch (error) {
    if (error instanceof UserError) return render(error);
    throw error;
  }
}

for (const file of readdirSync(folder)) {
  describe(file, () => {
    test.each(casesIn(file))('$name', ({ text, message }) => {
      expect(messageOf(text).trim()).toBe(message.trim());
    });
  });
}

describe('--set', () => {
  const text =
    'let depth = 2\ngenerator g(blocks = 3) : (3, h, w) -> (3, h, w) { conv(3) x(blocks*depth) }\n';

  test('a name that is not there lists those that are', () => {
    expect(messageOf(text, { block: 2 })).toBe(
      [
        'error: there is no `block` to set',
        '  = can be set: blocks, depth',
        '  = help: did you mean `blocks`?',
        '',
      ].join('\n'),
    );
  });

  test('a value that does not fit is refused where it is used', () => {
    expect(messageOf(text, { blocks: 0.25 })).toBe(
      [
        'error: a repeat must be a whole number, 1 or more',
        '  --> mine.sr:2:62',
        '  |',
        '2 | generator g(blocks = 3) : (3, h, w) -> (3, h, w) { conv(3) x(blocks*depth) }',
        '  |                                                              ^^^^^^^^^^^^ this is 0.5',
        '  = blocks = 0.25',
        '  = depth = 2',
        '',
      ].join('\n'),
    );
  });
});
