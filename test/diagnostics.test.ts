import { expect, test } from 'vitest';
import { render, UserError } from '../diagnostics.js';

/** The line and the carets under `length` characters at `start`. */
function shown(text: string, start: number, length = 1): string[] {
  const span = { source: { name: 'a.sr', text }, start, end: start + length };
  return render(new UserError({ message: 'wrong', span }))
    .split('\n')
    .slice(3, 5);
}

test('a line is shown as it is', () => {
  expect(shown('let a = b', 8)).toEqual(['1 | let a = b', '  |         ^']);
});

test.each([0, 90, 5000, 9950, 9999])('of a very long line, the part around column %i', (start) => {
  const line = Array.from({ length: 10000 }, (_, i) => 'abcdefghijklmnopqrs'[i % 19]).join('');
  const [text = '', carets = ''] = shown(line, start, 3);
  expect(text.length).toBeLessThan(170);
  const marked = text.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1);
  expect(marked).toBe(line.slice(start, start + 3));
});
