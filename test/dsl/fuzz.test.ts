// Mutants of a whole experiment: whatever is written, it is accepted or refused with a message, soon.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { load } from '../../dsl/index.js';

const SEED = `let scale = 2
block pair(width = 4, beta = 0.5) { residual(beta) { a = conv(width); dense x2 { conv(1); prelu }; conv(channels); add(a) } }
generator g(features = 4, blocks = 2) : (3, h, w) -> (3, scale*h, scale*w) {
  conv(features); body = pair(features) x(blocks); conv(3*scale^2); batchnorm; pixelshuffle(scale)
}
discriminator d(features = 2) : (3, 8, 8) -> (1, 1, 1) { conv(features, kernel=4, stride=2); lrelu(0.2); linear(1) }
perception p : (3, h, w) { c = conv(2); r = relu; maxpool(2) }
loss total = 1.0 * perceptual(p.c, l1) + 5e-3 * ragan(d, detach_mean=true) - tv / 2
train {
  degrade: bicubic(scale); patch: 8; batch: 2; augment: flip, rot90
  stage a { minimize: charbonnier(eps=1e-3); steps: 10; adam(lr=1e-4, betas=(0.9, 0.99)); cosine(periods=(5, 5)) }
  stage b { from: a; minimize: total; steps: 5; adam(lr=1e-4); halve(at=3); ema(0.9); clip(1) }
}
blend both = 0.5 * a + 0.5 * b
`;

const TOKENS = SEED.match(/\w+|[^\w\s]|\n/g)!;

function outcome(text: string): 'accepted' | 'refused' {
  try {
    load({ name: 'fuzz.sr', text });
    return 'accepted';
  } catch (error) {
    if (error instanceof UserError && error.diagnostics.length > 0) return 'refused';
    throw error;
  }
}

test('the seed is accepted', () => {
  expect(outcome(SEED)).toBe('accepted');
});

test('mutants are accepted or refused, never a crash', () => {
  const place = fc.nat(TOKENS.length - 1);
  const mutation = fc.record({
    at: place,
    from: place,
    kind: fc.constantFrom('replace', 'delete', 'insert', 'swap'),
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
      const tokens = [...TOKENS];
      for (const { at, from, kind } of mutations) {
        const other = tokens[from] ?? '';
        if (kind === 'replace') tokens[at] = other;
        else if (kind === 'delete') tokens.splice(at, 1);
        else if (kind === 'insert') tokens.splice(at, 0, other);
        else [tokens[at], tokens[from]] = [other, tokens[at] ?? ''];
      }
      outcome(tokens.join(' '));
    }),
    { numRuns: 300 },
  );
});

test('what is nested hundreds deep is refused before the stack ends', () => {
  const chain = (last: string, link: (k: number) => string) =>
    `${Array.from({ length: 650 }, (_, k) => link(k)).join('\n')}\n${last}\n`;
  const blocks = chain('block b650 { relu }', (k) => `block b${k} { residual { { b${k + 1} } } }`);
  expect(outcome(`${blocks}generator g : (3, h, w) -> (3, h, w) { b0 }\n`)).toBe('refused');
  const terms = ' + 1'.repeat(300);
  const losses = chain('loss l650 = l1', (k) => `loss l${k} = l${k + 1}${k < 4 ? terms : ''}`);
  expect(outcome(`${losses}generator g : (3, h, w) -> (3, h, w) { conv(3) }\n`)).toBe('refused');
});
