// The accept table: what the language reads, and as what.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Span, UserError } from '../../diagnostics.js';
import type { Arg, Body, Expr, File, Item, Setting, Statement } from '../../dsl/ast.js';
import { parse } from '../../dsl/parse.js';

const read = (text: string): File => parse({ name: 'my.sr', text });

/** An expression with every operation in brackets. */
function sketch(expr: Expr): string {
  switch (expr.kind) {
    case 'number':
      return String(expr.value);
    case 'string':
      return `'${expr.value}'`;
    case 'ref':
      return expr.name;
    case 'member':
      return `${sketch(expr.object)}.${expr.member.text}`;
    case 'call':
      return `${sketch(expr.callee)}(${expr.args.map(sketchArg).join(', ')})`;
    case 'negate':
      return `[-${sketch(expr.value)}]`;
    case 'binary':
      return `[${sketch(expr.left)} ${expr.op} ${sketch(expr.right)}]`;
    case 'tuple':
      return `<${expr.items.map(sketch).join(', ')}>`;
  }
}

const sketchArg = ({ name, value }: Arg): string => (name ? `${name.text}=${sketch(value)}` : sketch(value));

function sketchStatement({ label, callee, args, repeat, body }: Statement): string {
  const parts = [
    label && `${label.text}:`,
    callee && callee.text + (args ? `(${args.map(sketchArg).join(', ')})` : ''),
    repeat && `${repeat.beforeBody ? 'each' : 'all'} *${sketch(repeat.count)}`,
    body && sketchBody(body),
  ];
  return parts.filter((part) => part !== undefined).join(' ');
}

const sketchBody = ({ statements }: Body): string => `{${statements.map(sketchStatement).join(' | ')}}`;

const sketchSetting = ({ key, values, bare }: Setting): string =>
  `${key.text}${bare ? '!' : ''} ${values.map(sketch).join(' & ')}`;

function sketchItem(item: Item): string {
  const name = 'name' in item ? ` ${item.name.text}` : '';
  const params =
    'params' in item
      ? item.params
          .map((param) => ` ${param.name.text}?${param.default ? sketch(param.default) : ''}`)
          .join('')
      : '';
  const head = `${item.kind}${name}${params}`;
  switch (item.kind) {
    case 'let':
    case 'blend':
      return `${head} ${sketch(item.value)}`;
    case 'block':
      return `${head} ${sketchBody(item.body)}`;
    case 'network': {
      const { input, output } = item.signature ?? {};
      const shapes = [input, output].map((shape) => (shape ? ` <${shape.map(sketch).join(', ')}>` : ''));
      const content = item.body ? sketchBody(item.body) : item.value && sketch(item.value);
      return `${item.role} ${head}${shapes.join('')} ${content}`;
    }
    case 'loss':
      return `${head} ${item.value ? sketch(item.value) : item.players?.map(sketchSetting).join(' | ')}`;
    case 'train': {
      const stages = item.stages.map(
        (it) => `${it.name.text}: ${it.settings.map(sketchSetting).join(' | ')}`,
      );
      return [head, item.settings.map(sketchSetting).join(' | '), ...stages].join(' || ');
    }
  }
}

const sketchFile = (text: string): string[] => read(text).items.map(sketchItem);

describe('expressions', () => {
  test.each([
    ['4', '4'],
    ['200k', '200000'],
    ['1M', '1000000'],
    ['2.3k', '2300'],
    ['5e-3', '0.005'],
    ['1E+2', '100'],
    ['007', '7'],
    ['"C:\\models\\a // b.safetensors"', "'C:\\models\\a // b.safetensors'"],
    ['a + b - c', '[[a + b] - c]'],
    ['a - b * c / d', '[a - [[b * c] / d]]'],
    ['(a - b) * c', '[[a - b] * c]'],
    ['(sr - hr)^2', '[[sr - hr] ^ 2]'],
    ['a^b^c', '[a ^ [b ^ c]]'],
    ['-a^2', '[-[a ^ 2]]'],
    ['a^-b^c', '[a ^ [-[b ^ c]]]'],
    ['--a * -b', '[[-[-a]] * [-b]]'],
    ['vgg.conv5_4(sr).', undefined],
    ['perceptual(vgg.conv5_4, l1)', 'perceptual(vgg.conv5_4, l1)'],
    ['vgg.a.b(sr)', 'vgg.a.b(sr)'],
    ['adam(lr=2e-4, betas=(0.9, 0.99))', 'adam(lr=0.0002, betas=<0.9, 0.99>)'],
    ['f()', 'f()'],
    ['f(a, b=c,)', 'f(a, b=c)'],
    ['((a))', 'a'],
    ['(a,)', '<a>'],
    ['(a, (b, c))', '<a, <b, c>>'],
    ['f(x, x3, x(2), block, let)', 'f(x, x3, x(2), block, let)'],
  ])('%s', (text, expected) => {
    if (expected === undefined) expect(() => read(`let v = ${text}`)).toThrow(UserError);
    else expect(sketchFile(`let v = ${text}`)).toEqual([`let v ${expected}`]);
  });
});

describe('statements', () => {
  test.each([
    ['prelu', 'prelu'],
    ['prelu()', 'prelu()'],
    ['conv(4*features, kernel=9)', 'conv([4 * features], kernel=9)'],
    ['rrdb(beta=0.2) x23', 'rrdb(beta=0.2) all *23'],
    ['rrdb(beta=0.2, growth=growth) x(blocks)', 'rrdb(beta=0.2, growth=growth) all *blocks'],
    ['conv(3)x3', 'conv(3) all *3'],
    ['prelu x3', 'prelu all *3'],
    ['dense x4 { conv(3) }', 'dense each *4 {conv(3)}'],
    ['dense(1) x(2*n) { conv(3) }', 'dense(1) each *[2 * n] {conv(3)}'],
    ['body = residual { prelu } x(blocks)', 'body: residual all *blocks {prelu}'],
    ['up = { a; b } x2', 'up: all *2 {a | b}'],
    ['{ a; { b } }', '{a | {b}}'],
    ['{}', '{}'],
    ['x2 = conv(3)', 'x2: conv(3)'],
    ['x = prelu', 'x: prelu'],
    ['x', 'x'],
    ['x3d(4) x3', 'x3d(4) all *3'],
    ['block; loss(2); train = stage; let', 'block | loss(2) | train: stage | let'],
    ['add(upsample_tap)', 'add(upsample_tap)'],
    ['a;;; b;\n\n;c', 'a | b | c'],
    ['conv(\n  3, // three\n\n  kernel\n=\n9\n)\nprelu', 'conv(3, kernel=9) | prelu'],
  ])('%s', (text, expected) => {
    expect(sketchFile(`block b { ${text} }`)).toEqual([`block b {${expected}}`]);
  });
});

describe('items', () => {
  test.each([
    ['', []],
    [' ;\n// nothing\n', []],
    ['let a = 1; let b = a', ['let a 1', 'let b a']],
    ['block b { }', ['block b {}']],
    ['block b(n, m = 2*n,) { a }', ['block b n? m?[2 * n] {a}']],
    [
      'generator g(f = 64) : (3, h, w) -> (3, 4*h, 4*w) { a }',
      ['generator network g f?64 <3, h, w> <3, [4 * h], [4 * w]> {a}'],
    ],
    ['generator g : (3, h, w) { a }', ['generator network g <3, h, w> {a}']],
    ['generator g(\n)\n  : (3, h, w)\n  -> (3, h, w) { a }', ['generator network g <3, h, w> <3, h, w> {a}']],
    ['discriminator d = vgg128(features = 64)', ['discriminator network d vgg128(features=64)']],
    ['perception vgg = vgg19("a.safetensors")', ["perception network vgg vgg19('a.safetensors')"]],
    ['loss p(f, c = l1) = c(f(sr), f(hr))', ['loss p f? c?l1 c(f(sr), f(hr))']],
    ['loss r(d) { generator = a; discriminator = b }', ['loss r d? generator a | discriminator b']],
    ['blend mix = 0.8 * gan + 0.2 * psnr', ['blend mix [[0.8 * gan] + [0.2 * psnr]]']],
    [
      'train { augment: flip, rot90; stage s { steps: 1M; adam(lr=1) }; seed: 0; stage: 2; stage(3) }',
      [
        'train || augment flip & rot90 | seed 0 | stage 2 | stage! stage(3) || s: steps 1000000 | adam! adam(lr=1)',
      ],
    ],
  ])('%s', (text, expected) => {
    expect(sketchFile(text)).toEqual(expected);
  });
});

describe('a line goes on', () => {
  test.each([
    ['behind an operator', 'let a = 1 + // one\n\n 2\nlet b = 3', ['let a [1 + 2]', 'let b 3']],
    ['before an operator', 'let a = 1\n  // two\n  - 2', ['let a [1 - 2]']],
    ['behind `=`', 'loss a =\n  b', ['loss a b']],
    [
      'behind a comma',
      'train { augment: flip,\n rot90\n seed: 0 }',
      ['train || augment flip & rot90 | seed 0'],
    ],
    ['inside parentheses', 'let a = f\t(\n\n1\n+\n2 // two\n,\n3)', ['let a f([1 + 2], 3)']],
  ])('%s', (_where, text, expected) => {
    expect(sketchFile(text)).toEqual(expected);
  });

  test('but not into the next item', () => {
    expect(() => read('let a = 1 +\nlet b = 2')).toThrow('expected a value, found the end of the line');
  });
});

test.each([
  ['a byte order mark', '\uFEFFlet a = 1\nlet b = 2\n'],
  ['CRLF', 'let a = 1\r\nlet b = 2 // two\r\n'],
  ['CR', 'let a = 1\rlet b = 2'],
  ['tabs', '\tlet\ta\t=\t1\n\tlet\tb=2'],
])('%s is no obstacle', (_name, text) => {
  expect(sketchFile(text)).toEqual(['let a 1', 'let b 2']);
});

/** The text under every span of a tree, outermost first. */
function spans(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const own = isSpan(node) ? [node.source.text.slice(node.start, node.end)] : [];
  const { source: _source, span, ...rest } = { source: undefined, span: undefined, ...node };
  return [...own, ...spans(span), ...Object.values(rest).flatMap(spans)];
}

function isSpan(node: object): node is Span {
  return 'start' in node && 'end' in node;
}

test.each([
  [
    'let a = -(b + c) * 2 // d',
    ['let a = -(b + c) * 2', 'a', '-(b + c) * 2', '-(b + c)', 'b + c', 'b', 'c', '2'],
  ],
  ['let a = f(v.w, k=1) ^ 2', ['let a = f(v.w, k=1) ^ 2', 'a', 'f(v.w, k=1) ^ 2', 'f(v.w, k=1)', 'v.w']],
  ['block b { y = conv(3) x2 { z } }', ['block b { y = conv(3) x2 { z } }', 'b', '{ y = conv(3) x2 { z } }']],
  ['block b { up = { z  } x( n ) ; }', ['up = { z  } x( n )', '{ z  }', 'x( n )', 'n']],
  ['train { a: b , c ; stage s { d(e) } }', ['a: b , c', 'stage s { d(e) }', 'd(e)']],
  ['generator g( f = 1 ) : (3, h) { }', ['f = 1', ': (3, h)', '3', 'h', '{ }']],
])('spans are exact: %s', (text, expected) => {
  expect(spans(read(text).items)).toEqual(expect.arrayContaining(expected));
});

test('comments keep their text, without the blanks behind it', () => {
  const { comments } = read('// one \nlet a = "//no" //two\t\n');
  expect(comments.map(({ text, span }) => [text, span.start])).toEqual([
    ['// one', 0],
    ['//two', 23],
  ]);
});

describe('limits', () => {
  const nested = (opening: string, depth: number, closing: string) =>
    `let a = ${opening.repeat(depth)}1${closing.repeat(depth)}`;
  const sum = (terms: number) => `let a = 1${' + 1'.repeat(terms - 1)}`;

  test('brackets', () => {
    expect(sketchFile(nested('(', 32, ')'))).toEqual(['let a 1']);
    expect(read(nested('f(2^-2 * g, k=-2 + ', 32, ')')).items).toHaveLength(1);
    expect(() => read(nested('(', 33, ')'))).toThrow('brackets nest more than 32 deep');
    expect(() => read(`block a ${'{'.repeat(100_000 - 8)}`)).toThrow('brackets nest more than 32 deep');
  });

  test.each([
    ['sums', sum(502)],
    ['signs', `let a = ${'-'.repeat(1000)}1`],
    ['powers', `let a = 1${'^1'.repeat(1000)}`],
    ['members', `let a = a${'.a'.repeat(1000)}`],
  ])('endless %s', (_name, text) => {
    expect(() => read(text)).toThrow('this expression is too long');
  });

  test('long sums', () => {
    expect(read(sum(501)).items).toHaveLength(1);
  });

  test('characters', () => {
    expect(() => read(' '.repeat(100_001))).toThrow('my.sr is too large for a .sr file');
    expect(read('\n'.repeat(20_000)).items).toEqual([]);
  });
});

const design = new URL('../../../shared/DESIGN.md', import.meta.url);

test.skipIf(!existsSync(design))('the samples of the design (skipped without ../shared/DESIGN.md)', () => {
  const samples = [...readFileSync(design, 'utf8').matchAll(/^```\n(.*?)^```/gms)]
    .map((block) => block[1]!)
    .filter((text) => /^(let|generator|block|loss) .*[{=)]/m.test(text) && !text.startsWith('error:'));
  expect(samples.map((text) => read(text).items.length)).toEqual([7, 1, 6]);
});
