// The reject table: each mistake and the whole text a user sees.

import { describe, expect, test } from 'vitest';
import { render, UserError } from '../../diagnostics.js';
import { parse } from '../../dsl/parse.js';

function rejection(text: string): string {
  try {
    parse({ name: 'my.sr', text });
  } catch (error) {
    if (error instanceof UserError) return render(error);
    throw error;
  }
  return 'accepted';
}

const TABLE: readonly (readonly [mistake: string, text: string, rendered: string])[] = [
  [
    'a misspelt item',
    'genrator g {\n  conv(3)\n}',
    `error: \`genrator\` begins no item
  --> my.sr:1:1
  |
1 | genrator g {
  | ^^^^^^^^
  = help: did you mean \`generator\`?
`,
  ],
  [
    'a layer outside any body',
    'let a = 3\nconv(64)',
    `error: \`conv\` begins no item
  --> my.sr:2:1
  |
2 | conv(64)
  | ^^^^
  = help: an item begins with \`let\`, \`block\`, \`generator\`, \`discriminator\`, \`perception\`, \`loss\`, \`train\` or \`blend\`
`,
  ],
  [
    'a repeat among arguments',
    'generator g {\n  conv(3, kernel=9 x3)\n}',
    `error: the repeat \`x3\` stands inside parentheses
  --> my.sr:2:20
  |
2 |   conv(3, kernel=9 x3)
  |                    ^^ a repeat follows the whole layer
  = help: close the parenthesis first: \`conv(64, kernel=9) x3\`
`,
  ],
  [
    'a computed repeat among arguments',
    'block b(n) { conv(64 x(n)) }',
    `error: the repeat \`x(…)\` stands inside parentheses
  --> my.sr:1:22
  |
1 | block b(n) { conv(64 x(n)) }
  |                      ^ a repeat follows the whole layer
  = help: close the parenthesis first: \`conv(64, kernel=9) x3\`
`,
  ],
  [
    'a repeat glued to a number',
    'generator g { conv(3, kernel=9x3) }',
    `error: \`9x3\` is not a number
  --> my.sr:1:30
  |
1 | generator g { conv(3, kernel=9x3) }
  |                              ^^^
  = help: a repeat follows a layer, with a space: \`conv(64) x3\`
`,
  ],
  [
    'two repeats',
    'block b { conv(3) x3 x4 }',
    `error: this layer has a repeat already
  --> my.sr:1:22
  |
1 | block b { conv(3) x3 x4 }
  |                      ^^
  = it is repeated by \`x3\`
  = help: keep one of the two
`,
  ],
  [
    'a repeat before and after a body',
    'block b { dense x4 { conv(3) } x(2) }',
    `error: this layer has a repeat already
  --> my.sr:1:32
  |
1 | block b { dense x4 { conv(3) } x(2) }
  |                                ^^^^
  = it is repeated by \`x4\`
  = help: keep one of the two
`,
  ],
  [
    'a repeat on nothing',
    'block b {\n  conv(3)\n  x3\n}',
    `error: \`x3\` has nothing to repeat
  --> my.sr:3:3
  |
3 |   x3
  |   ^^ a repeat follows a layer or a body on its line
  = help: write it behind: \`conv(64) x3\` or \`{ conv(64); lrelu(0.2) } x3\`
`,
  ],
  [
    'a labelled repeat on nothing',
    'block b { up = x(n) }',
    `error: \`x(n)\` has nothing to repeat
  --> my.sr:1:16
  |
1 | block b { up = x(n) }
  |                ^^^^ a repeat follows a layer or a body on its line
  = help: write it behind: \`conv(64) x3\` or \`{ conv(64); lrelu(0.2) } x3\`
`,
  ],
  [
    'a block that is called like a repeat',
    'block x2 { conv(3) }',
    `error: a block cannot be called \`x2\`
  --> my.sr:1:7
  |
1 | block x2 { conv(3) }
  |       ^^ in a body this is a repeat
  = help: choose another name
`,
  ],
  [
    'a repeat without a count',
    'block b { conv(3) x 3 }',
    `error: expected a count after \`x\`, found \`3\`
  --> my.sr:1:21
  |
1 | block b { conv(3) x 3 }
  |                     ^
  = help: a repeat is written \`x3\` or \`x(blocks)\`
`,
  ],
  [
    'an unclosed brace',
    'generator g {\n  conv(3)\n  residual {\n    conv(3)\n  }\n',
    `error: this \`{\` is never closed
  --> my.sr:1:13
  |
1 | generator g {
  |             ^
`,
  ],
  [
    'an unclosed brace that indentation gives away',
    'generator g {\n  residual {\n    conv(3)\n  conv(3)\n}\nlet a = 3',
    `error: this \`{\` is never closed
  --> my.sr:1:13
  |
1 | generator g {
  |             ^
  = \`}\` at my.sr:5:1 closes \`{\` at my.sr:2:12, but is not indented like it
`,
  ],
  [
    'an unclosed parenthesis',
    'generator g {\n  conv(3\n  conv(4)\n}',
    `error: this \`(\` is not closed
  --> my.sr:2:7
  |
2 |   conv(3
  |       ^
  = \`}\` at my.sr:4:1 closes what is outside it
`,
  ],
  [
    'a brace that closes nothing',
    'let a = 3\n}',
    `error: this \`}\` closes nothing
  --> my.sr:2:1
  |
2 | }
  | ^
`,
  ],
  [
    'a missing comma',
    'generator g { conv(3 kernel=9) }',
    `error: missing comma between \`3\` and \`kernel\`
  --> my.sr:1:22
  |
1 | generator g { conv(3 kernel=9) }
  |                      ^^^^^^
  = help: separate what stands in parentheses with \`,\`
`,
  ],
  [
    'a missing comma between parameters',
    'block b(n m) { }',
    `error: missing comma between \`n\` and \`m\`
  --> my.sr:1:11
  |
1 | block b(n m) { }
  |           ^
  = help: separate what stands in parentheses with \`,\`
`,
  ],
  [
    'an empty place in a list',
    'let a = f(,)',
    `error: expected a value or \`)\`, found \`,\`
  --> my.sr:1:11
  |
1 | let a = f(,)
  |           ^
`,
  ],
  [
    '`=` in a recipe',
    'train { patch = 128 }',
    `error: expected \`:\`, found \`=\`
  --> my.sr:1:15
  |
1 | train { patch = 128 }
  |               ^
  = help: a setting is written with a colon: \`patch: …\`
`,
  ],
  [
    'a setting without `:`',
    'train { patch 128 }',
    `error: expected \`:\` after \`patch\`, found \`128\`
  --> my.sr:1:15
  |
1 | train { patch 128 }
  |               ^^^
  = help: write \`patch: 128\`
`,
  ],
  [
    '`:` in a definition',
    'let a: 4',
    `error: expected \`=\`, found \`:\`
  --> my.sr:1:6
  |
1 | let a: 4
  |      ^
  = help: write \`a = …\`
`,
  ],
  [
    '`:` in an argument',
    'generator g { conv(3, kernel: 9) }',
    `error: expected \`=\`, found \`:\`
  --> my.sr:1:29
  |
1 | generator g { conv(3, kernel: 9) }
  |                             ^
  = help: write \`kernel=…\`
`,
  ],
  [
    '`:` at a label',
    'block b { up: { conv(3) } x2 }',
    `error: expected \`=\`, found \`:\`
  --> my.sr:1:13
  |
1 | block b { up: { conv(3) } x2 }
  |             ^
  = help: write \`up = …\`
`,
  ],
  [
    '`:` for a player',
    'loss r(d) { generator: 3 }',
    `error: expected \`=\`, found \`:\`
  --> my.sr:1:22
  |
1 | loss r(d) { generator: 3 }
  |                      ^
  = help: write \`generator = …\`
`,
  ],
  [
    'an argument without parentheses',
    'block b { conv 64 }',
    `error: expected \`(\` after \`conv\`, found \`64\`
  --> my.sr:1:16
  |
1 | block b { conv 64 }
  |                ^^
  = help: write \`conv(64)\`
`,
  ],
  [
    'two statements on a line',
    'block b { conv(3) lrelu(0.2) }',
    `error: expected a new line or \`;\` before \`lrelu\`
  --> my.sr:1:19
  |
1 | block b { conv(3) lrelu(0.2) }
  |                   ^^^^^
`,
  ],
  [
    'two settings on a line',
    'train { steps: 3 patch: 3 }',
    `error: expected a new line or \`;\` before \`patch\`
  --> my.sr:1:18
  |
1 | train { steps: 3 patch: 3 }
  |                  ^^^^^
`,
  ],
  [
    'a value that does not end',
    'let a = 1 +\nlet b = 2',
    `error: expected a value, found the end of the line
  --> my.sr:1:12
  |
1 | let a = 1 +
  |            ^
`,
  ],
  [
    'a value that is missing',
    'let a =\n',
    `error: expected a value, found the end of the line
  --> my.sr:1:8
  |
1 | let a =
  |        ^
`,
  ],
  [
    'a definition that is missing',
    'generator g',
    `error: expected \`(\`, \`:\`, \`{\` or \`=\`, found the end of the file
  --> my.sr:1:12
  |
1 | generator g
  |            ^
`,
  ],
  [
    'a call of a call',
    'let a = f(x)(y)',
    `error: expected a new line or \`;\` before \`(\`
  --> my.sr:1:13
  |
1 | let a = f(x)(y)
  |             ^
`,
  ],
  [
    'an expression for a layer',
    'block b { (a) }',
    `error: expected a layer or \`}\`, found \`(\`
  --> my.sr:1:11
  |
1 | block b { (a) }
  |           ^
`,
  ],
  [
    'an expression in a body',
    'block b { conv(3) + a }',
    `error: expected a new line or \`}\`, found \`+\`
  --> my.sr:1:19
  |
1 | block b { conv(3) + a }
  |                   ^
`,
  ],
  [
    'an empty tuple',
    'let a = ()',
    `error: expected a value, found \`)\`
  --> my.sr:1:10
  |
1 | let a = ()
  |          ^
`,
  ],
  [
    'a bare setting that is no call',
    'train { stage s { adam } }',
    `error: expected \`:\` or \`(\`, found \`}\`
  --> my.sr:1:24
  |
1 | train { stage s { adam } }
  |                        ^
`,
  ],
  [
    'no setting at all',
    'train { 3 }',
    `error: expected a setting, a stage or \`}\`, found \`3\`
  --> my.sr:1:9
  |
1 | train { 3 }
  |         ^
`,
  ],
  [
    'an unterminated string',
    'perception v = vgg19("vgg19.safetensors)',
    `error: this string does not end on its line
  --> my.sr:1:22
  |
1 | perception v = vgg19("vgg19.safetensors)
  |                      ^^^^^^^^^^^^^^^^^^^
  = help: close it with \`"\`
`,
  ],
  [
    'a stray character',
    'let a = 3 @ 4',
    `error: stray character \`@\`
  --> my.sr:1:11
  |
1 | let a = 3 @ 4
  |           ^
`,
  ],
  [
    'a letter beyond ASCII',
    'let größe = 4',
    `error: stray character \`ö\`
  --> my.sr:1:7
  |
1 | let größe = 4
  |       ^
  = help: names are made of the letters a to z and A to Z, digits and \`_\`
`,
  ],
  [
    'an invisible character',
    'let a\u200B = 4',
    `error: stray character U+200B
  --> my.sr:1:6
  |
1 | let a\u200B = 4
  |      ^
`,
  ],
  [
    'a character of two code units',
    'let a = 😀',
    `error: stray character \`😀\`
  --> my.sr:1:9
  |
1 | let a = 😀
  |         ^^
`,
  ],
  [
    'a foreign comment',
    '# esrgan',
    `error: stray character \`#\`
  --> my.sr:1:1
  |
1 | # esrgan
  | ^
  = help: a comment begins with \`//\`
`,
  ],
  [
    'a foreign block comment',
    'let a = 3 /* three */',
    `error: expected a value, found \`*\`
  --> my.sr:1:12
  |
1 | let a = 3 /* three */
  |            ^
  = help: a comment begins with \`//\` and ends with its line
`,
  ],
  [
    'a foreign power',
    'let a = 3 ** 2',
    `error: expected a value, found \`*\`
  --> my.sr:1:12
  |
1 | let a = 3 ** 2
  |            ^
  = help: a power is written with \`^\`
`,
  ],
  [
    'a foreign list',
    'train { stage s { halve(at=[1, 2]) } }',
    `error: stray character \`[\`
  --> my.sr:1:28
  |
1 | train { stage s { halve(at=[1, 2]) } }
  |                            ^
  = help: a list is written in parentheses: \`(50k, 100k)\`
`,
  ],
  [
    'a foreign string',
    "perception v = vgg19('vgg19')",
    `error: stray character \`'\`
  --> my.sr:1:22
  |
1 | perception v = vgg19('vgg19')
  |                      ^
  = help: strings are written in double quotes: \`"vgg19.safetensors"\`
`,
  ],
  [
    'a foreign arrow',
    'generator g : (3, h, w) => (3, h, w) { }',
    `error: stray character \`>\`
  --> my.sr:1:26
  |
1 | generator g : (3, h, w) => (3, h, w) { }
  |                          ^
  = help: an arrow is written \`->\`
`,
  ],
  [
    'a number with two points',
    'let a = 1.2.3',
    `error: \`1.2.3\` is not a number
  --> my.sr:1:9
  |
1 | let a = 1.2.3
  |         ^^^^^
  = help: write it like \`64\`, \`0.2\`, \`5e-3\`, \`200k\` or \`1M\`
`,
  ],
  [
    'a number without a leading digit',
    'let a = .5',
    `error: \`.5\` is not a number
  --> my.sr:1:9
  |
1 | let a = .5
  |         ^^
  = help: write a digit before the point: \`0.5\`
`,
  ],
  [
    'a number without a last digit',
    'let a = 1. + 2',
    `error: \`1.\` is not a number
  --> my.sr:1:9
  |
1 | let a = 1. + 2
  |         ^^
  = help: write a digit after the point: \`1.0\`
`,
  ],
  [
    'a number with separators',
    'let a = 1_000',
    `error: \`1_000\` is not a number
  --> my.sr:1:9
  |
1 | let a = 1_000
  |         ^^^^^
  = help: write it without \`_\`: \`1000\` or \`1k\`
`,
  ],
  [
    'a number with an unknown ending',
    'let a = 3K + 4m',
    `error: \`3K\` is not a number
  --> my.sr:1:9
  |
1 | let a = 3K + 4m
  |         ^^
  = help: the endings are \`k\` for thousand and \`M\` for million
`,
  ],
  [
    'a number that overflows',
    'let a = 1e400',
    `error: this number is too large
  --> my.sr:1:9
  |
1 | let a = 1e400
  |         ^^^^^ above 1.8e308
`,
  ],
  [
    'a whole number that is not exact',
    'let a = 9007199254740993',
    `error: this number is too large
  --> my.sr:1:9
  |
1 | let a = 9007199254740993
  |         ^^^^^^^^^^^^^^^^ above 2^53, not exact
`,
  ],
  [
    'a number that underflows',
    'let a = 1e-400',
    `error: this number is too small
  --> my.sr:1:9
  |
1 | let a = 1e-400
  |         ^^^^^^ this would become 0
`,
  ],
  [
    'a repeat that overflows',
    'block b { conv(3) x99999999999999999999 }',
    `error: this number is too large
  --> my.sr:1:20
  |
1 | block b { conv(3) x99999999999999999999 }
  |                    ^^^^^^^^^^^^^^^^^^^^ above 2^53, not exact
`,
  ],
  [
    'a tab before the mistake',
    'block b {\n\tconv(3)\tlrelu\n}',
    `error: expected a new line or \`;\` before \`lrelu\`
  --> my.sr:2:10
  |
2 | 	conv(3)	lrelu
  | 	       	^^^^^
`,
  ],
  [
    'CRLF before the mistake',
    'let a = 1\r\nlet b 2\r\n',
    `error: expected \`=\`, found \`2\`
  --> my.sr:2:7
  |
2 | let b 2
  |       ^
`,
  ],
  [
    'a byte order mark before the mistake',
    '\uFEFFlet a 1',
    `error: expected \`=\`, found \`1\`
  --> my.sr:1:7
  |
1 | let a 1
  |       ^
`,
  ],
];

describe('a mistake is explained where it is', () => {
  test.each(TABLE)('%s', (_mistake, text, rendered) => {
    expect(rejection(text)).toBe(rendered);
  });
});
