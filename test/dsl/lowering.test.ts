// What statements mean, as graph text. The cases are text: lowers.txt.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { printGraph } from '../../compiler/text.js';
import { verify } from '../../compiler/verify.js';
import { load } from '../../dsl/index.js';

const GENERATOR = 'generator g : (3, h, w) -> (3, h, w) { conv(3) }\n';

function networks(text: string) {
  return load({ name: 'mine.sr', text }).networks;
}

/** The graph of the one perception network in `text`. */
function lowered(text: string) {
  return networks(GENERATOR + text)[1]!.graph;
}

const cases = readFileSync(new URL('lowers.txt', import.meta.url), 'utf8')
  .split(/^=== /m)
  .slice(1)
  .map((section) => /^(.*)\n([\s\S]*\n)--- lowers to\n([\s\S]*)$/.exec(section)!);

describe('lowers.txt', () => {
  test.each(cases.map(([, name, text, graph]) => ({ name: name!, text: text!, graph: graph! })))(
    '$name',
    ({ text, graph }) => {
      const actual = lowered(text);
      verify(actual, actual.name);
      expect(
        printGraph(actual)
          .replace(/ {2}; .*$/gm, '')
          .trim(),
      ).toBe(graph.trim());
    },
  );
});

test('nodes say which text they came from, in the user’s file or the library', () => {
  const { nodes } = lowered('perception p : (4, h, w) {\n  relu\n  rrdb(growth=2)\n}\n');
  expect(nodes[0]!.loc).toEqual({ file: 'mine.sr', line: 3, column: 3 });
  expect(nodes[1]!.loc!.file).toBe('library/blocks.sr');
});

test('new lines and semicolons, comments and blank lines change nothing', () => {
  const one = lowered('perception p : (3, h, w) { a = { conv(3); relu } x2; add(a) }\n');
  const many = lowered(
    'perception p : (3, h, w) {\n\n  a = {\n    conv(3) // wide\n    relu\n  } x(2)\n\n  add(a)\n}\n',
  );
  const strip = (graph: typeof one) => printGraph(graph).replace(/ {2}; .*$/gm, '');
  expect(strip(many)).toBe(strip(one));
});

describe('paths', () => {
  const weights = (body: string, head = '') =>
    lowered(`${head}perception p : (3, h, w) { ${body} }\n`)
      .params.map(({ ref }) => ref)
      .filter((ref) => ref.endsWith('.weight'))
      .map((ref) => ref.slice(1, -'.weight'.length));

  test.each([
    ['one alone has no number', 'conv(3); relu', ['conv']],
    ['several are numbered in order', 'conv(3); conv(3)', ['conv.0', 'conv.1']],
    ['a repeat is numbered, even once', 'conv(3) x1', ['conv.0']],
    ['labels name statements', 'first = conv(3); conv(3)', ['first', 'conv']],
    ['a label counts with the calls of its name', 'conv = conv(3); conv(3)', ['conv.0', 'conv.1']],
    [
      'unlabelled groups are transparent',
      'conv(3); residual { conv(3); { conv(3) } }',
      ['conv.0', 'conv.1', 'conv.2'],
    ],
    [
      'a transparent repeat goes on counting',
      '{ conv(3); prelu } x2',
      ['conv.0', 'prelu.0', 'conv.1', 'prelu.1'],
    ],
    [
      'labelled groups are scopes',
      'up = { conv(3) } x2; tail = { conv(3) }',
      ['up.0.conv', 'up.1.conv', 'tail.conv'],
    ],
    ['copies of dense count on', 'dense x2 { conv(3) }; conv(3)', ['conv.0', 'conv.1', 'conv.2']],
    [
      'a labelled dense numbers its copies',
      'd = dense x2 { conv(3) }; conv(3)',
      ['d.0.conv', 'd.1.conv', 'conv'],
    ],
  ])('%s', (_, body, expected) => {
    expect(weights(body)).toEqual(expected);
  });

  test('blocks are scopes', () => {
    const head = 'block pair { conv(3); conv(3) }\n';
    expect(weights('pair; a = pair x2', head)).toEqual([
      'pair.conv.0',
      'pair.conv.1',
      'a.0.conv.0',
      'a.0.conv.1',
      'a.1.conv.0',
      'a.1.conv.1',
    ]);
  });
});
