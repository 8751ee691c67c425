// The one style, before and after.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { format } from '../../dsl/format.js';
import { parse } from '../../dsl/parse.js';
import { outline } from './programs.js';

const read = (text: string) => parse({ name: 'my.sr', text });

function styled(text: string): string {
  const file = read(text);
  const formatted = format(file);
  const again = read(formatted);
  expect(outline(again)).toBe(outline(file));
  expect(format(again)).toBe(formatted);
  return formatted;
}

describe('blanks', () => {
  test.each([
    ['let   a=1', 'let a = 1'],
    ['block b( n,m=2 ){conv( n,kernel = 9 )x3}', 'block b(n, m = 2) { conv(n, kernel=9) x3 }'],
    ['block b(){dense x( 2*n ){ }}', 'block b { dense x(2*n) {} }'],
    ['block b { up={a;b}x2 }', 'block b { up = { a; b } x2 }'],
    ['block b { prelu ( ) x(3) }', 'block b { prelu() x3 }'],
    ['generator g:(3,h,w)->(3,4 * h,4 * w){a}', 'generator g : (3, h, w) -> (3, 4*h, 4*w) { a }'],
    ['discriminator d=vgg128(features = 64)', 'discriminator d = vgg128(features=64)'],
    ['blend c=0.8*a+0.2*b', 'blend c = 0.8 * a + 0.2 * b'],
    ['train{augment :flip,rot90;ema ( 0.999 )}', 'train { augment: flip, rot90; ema(0.999) }'],
    ['train { stage  s{steps:1M} }', 'train { stage s { steps: 1M } }'],
    ['loss r(d){generator=1;discriminator=2}', 'loss r(d) { generator = 1; discriminator = 2 }'],
    ['let a = f( (50k , ),"x" )', 'let a = f((50k,), "x")'],
  ])('%s', (text, expected) => {
    expect(styled(text)).toBe(`${expected}\n`);
  });
});

describe('parentheses, only where they matter', () => {
  test.each([
    ['((a)) + (b * c)', 'a + b * c'],
    ['(a + b) * (c - (d - e))', '(a + b) * (c - (d - e))'],
    ['(a / b) / (c / d)', 'a / b / (c/d)'],
    ['(sr - hr) ^ 2', '(sr - hr)^2'],
    ['((a ^ b) ^ c) ^ (d ^ e)', '((a^b)^c)^d^e'],
    ['(-a) ^ (-(b))', '(-a)^-b'],
    ['-(a * b) - (-c)', '-(a*b) - -c'],
    ['f((a), (b * (c)))', 'f(a, b*c)'],
  ])('%s', (text, expected) => {
    expect(styled(`let v = ${text}`)).toBe(`let v = ${expected}\n`);
  });
});

test('lines are the author’s, one blank line is kept', () => {
  expect(
    styled(`


let a = 1; let b = 2



let c = 3;
generator g {

    conv(3);prelu ; conv(4)


    residual { conv(3)
      prelu }
    conv(3)

}`),
  ).toBe(`let a = 1; let b = 2

let c = 3
generator g {
  conv(3); prelu; conv(4)

  residual {
    conv(3)
    prelu
  }
  conv(3)
}
`);
});

test('comments keep their place', () => {
  expect(
    styled(`// first
// second

let a = 1        // one
let bb   =  2    // two
generator g( // open
   features=64,  // width
   // how dense
   growth = 32   // growth
   // done
) : (3, h, w) { // body
      // before conv
   conv(features)// close

   // last
}
loss l = // why
  a // first
  // second
  + b
block empty {
  // nothing yet
}
// end`),
  ).toBe(`// first
// second

let a = 1        // one
let bb = 2       // two
generator g( // open
  features = 64, // width
  // how dense
  growth = 32    // growth
  // done
) : (3, h, w) { // body
  // before conv
  conv(features) // close

  // last
}
loss l = // why
  a // first
    // second
    + b
block empty {
  // nothing yet
}
// end
`);
});

test('what does not fit is broken: bodies first, then lists, then sums before each operator', () => {
  const long = 'a_rather_long_name_for_a_thing';
  expect(
    styled(`
block b(n) { conv(${long}, kernel=9); lrelu(0.2); residual { conv(${long}); conv(${long}) x4 }; prelu }
block c { residual(0.2) { conv(${long}, ${long}, kernel=${long}, init=0.1) } }
block d(first = ${long}, second = ${long}, third = ${long}) { prelu }
loss total = 1.0 * perceptual(${long}) + 5e-3 * ragan(${long}) - 1e-2 * (${long} + l1)
`),
  ).toBe(`block b(n) {
  conv(a_rather_long_name_for_a_thing, kernel=9)
  lrelu(0.2)
  residual { conv(a_rather_long_name_for_a_thing); conv(a_rather_long_name_for_a_thing) x4 }
  prelu
}
block c {
  residual(0.2) {
    conv(
      a_rather_long_name_for_a_thing,
      a_rather_long_name_for_a_thing,
      kernel=a_rather_long_name_for_a_thing,
      init=0.1
    )
  }
}
block d(
  first = a_rather_long_name_for_a_thing,
  second = a_rather_long_name_for_a_thing,
  third = a_rather_long_name_for_a_thing
) { prelu }
loss total = 1.0 * perceptual(a_rather_long_name_for_a_thing)
  + 5e-3 * ragan(a_rather_long_name_for_a_thing)
  - 1e-2 * (a_rather_long_name_for_a_thing + l1)
`);
});

const design = new URL('../../../shared/DESIGN.md', import.meta.url);

test.skipIf(!existsSync(design))(
  'the design is written in this style, but for two statements (skipped without ../shared/DESIGN.md)',
  () => {
    const samples = [...readFileSync(design, 'utf8').matchAll(/^```\n(.*?)^```/gms)]
      .map((block) => block[1]!)
      .filter((text) => text.startsWith('// esrgan.sr') || text.startsWith('generator srresnet'));
    expect(samples).toHaveLength(2);
    const changed = samples.flatMap((text) => {
      const lines = new Set(text.split('\n'));
      return styled(text)
        .split('\n')
        .filter((line) => !lines.has(line));
    });
    // An argument without blanks, and one stage whose brace closes on another line.
    expect(changed).toEqual([
      'discriminator critic = vgg128(features=64)',
      '  stage gan {',
      expect.stringMatching(/^ {4}from: psnr; /),
      expect.stringMatching(/^ {4}halve/),
    ]);
  },
);
