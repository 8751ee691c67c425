import { expect, test } from 'vitest';
import { didYouMean } from '../../dsl/suggest.js';

test.each([
  ['genrator', ['generator', 'discriminator'], 'generator'],
  ['cnov', ['conv', 'dense'], 'conv'],
  ['PReLU', ['lrelu', 'prelu'], 'prelu'],
  ['lrlu', ['prelu', 'lrelu'], 'lrelu'],
  ['residaul', ['residual'], 'residual'],
  ['h', ['w'], undefined],
  ['l1', ['l2', 'mse'], 'l2'],
  ['conv', ['dense', 'prelu'], undefined],
  ['conv', [], undefined],
])('%s among %j: %s', (name, candidates, expected) => {
  expect(didYouMean(name, candidates)).toBe(expected);
});
