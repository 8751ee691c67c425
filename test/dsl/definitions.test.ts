import { describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { definitionNames, definitionOf, load, parse } from '../../dsl/index.js';

describe('src show', () => {
  test('a block is its text, with the comment above it', () => {
    expect(definitionOf('rrdb')).toBe(
      `// Residual in residual dense block: three dense blocks and a skip around them.
block rrdb(growth = 32, beta = 0.2) {
  residual(beta) { rdb(growth, beta) x3 }
}
`,
    );
  });

  test.each([
    ['l1', 'loss l1 = mean(abs(sr - hr))\n'],
    [
      'conv',
      /^conv\(features, kernel=3, stride=1, pad=\?, bias=true, init=\?, spectral=false\) {2}\/\/ .+\n$/,
    ],
    ['concat', /^concat\(taps, …\) {2}\/\/ .+\n$/],
    ['residual', /^residual\(scale=1\) {2}\/\/ .+\n$/],
    ['bce', /^bce\(logits, target\) {2}\/\/ .+\n$/],
    ['adam', /^adam\(lr, betas=\(0\.9, 0\.999\), eps=1e-8\) {2}\/\/ .+\n$/],
    ['usm', /^usm\(hr\) {2}\/\/ .+\n$/],
    // Longer than a line.
    ['realesrgan', /^realesrgan\(factor, blur=1, kernel=\(7, 21\), [\s\S]*,\n {2}[^ ].*\) {2}\/\/ .+\n$/],
    [
      'vgg19',
      /^\/\/ VGG19[\s\S]*perception vgg19\(weights = ""\) : \(3, h, w\) \{\n[\s\S]*pool5 = maxpool\(2\)\n\}\n$/,
    ],
  ])('%s', (name, expected) => {
    if (typeof expected === 'string') expect(definitionOf(name)).toBe(expected);
    else expect(definitionOf(name)).toMatch(expected);
  });

  test('every line fits, whatever is shown', () => {
    const lines = definitionNames().flatMap((name) => definitionOf(name).split('\n'));
    expect(lines.filter((line) => line.replace(/ {2}\/\/ .*/, '').length > 120)).toEqual([]);
  });

  test('an unknown name is met with the nearest', () => {
    expect(() => definitionOf('rrbd')).toThrow(UserError);
  });

  test('what is shown can be pasted into a file: the library is written in the language', () => {
    const text = ['rdb', 'rrdb', 'vgg_stage', 'l1', 'perceptual', 'ragan'].map(definitionOf).join('\n');
    expect(parse({ name: 'pasted.sr', text }).items).toHaveLength(6);
    const generator = 'generator g : (3, h, w) -> (3, h, w) { rrdb(growth=2) }\n';
    expect(load({ name: 'pasted.sr', text: generator + text }).networks).toHaveLength(1);
  });
});
