// Plans of graphs at the edges of what lowering takes.

import { expect, test } from 'vitest';
import { lower } from '../../compiler/lower.js';
import { GENERIC } from '../../compiler/target.js';
import { parseGraph } from '../../compiler/text.js';

test.each(['pixel_shuffle', 'pixel_unshuffle'])('%s by 1 may lie in the buffer that it reads', (op) => {
  const { plan } = lower(
    parseGraph(`graph g(%x: f32[n,8,h,w]) {
  %0 = relu(%x) : f32[n,8,h,w]
  %1 = ${op}(%0) {factor=1} : f32[n,8,h,w]
  %2 = concat(%0, %1) : f32[n,16,h,w]
  %3 = relu(%2) : f32[n,16,h,w]
  return %3
}`),
    GENERIC,
  );
  const shuffle = plan.steps[1]!;
  expect(shuffle.writes).toEqual({ buffer: shuffle.reads[0]!.buffer, offset: 8, channels: 8 });
});
