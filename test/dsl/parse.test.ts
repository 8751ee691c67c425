import { expect, test } from 'vitest';
import { parse } from '../../dsl/parse.js';

test('parses', () => {
  expect(parse({ name: 'a.sr', text: 'let scale = 4' }).items).toHaveLength(1);
});
