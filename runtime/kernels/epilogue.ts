// How a result leaves registers: the function `put` takes a value through the fused pointwise steps, zeroes the
// channel padding and stores it. Every family that makes a tensor ends in it.

import type { PointwiseOperand, PointwiseStep, View } from './kernel.js';
import { applySteps } from './pointwise.js';
import { elementIndex, groupsOf, load, store, type Width } from './text.js';

/**
 * `fn put(pixel, group, phase, value)`: `pixel` is the linear index of the pixel in `y`, `group` the group of `width`
 * channels, `phase` the phase of a phased conv (0 elsewhere).
 */
export function putFunction(y: View, steps: readonly PointwiseStep[], width: Width): string[] {
  const at = (operand: PointwiseOperand): string => {
    if ('tensor' in operand)
      return load(operand.tensor, width, elementIndex(operand.tensor, width, 'pixel', 'group'));
    if ('scalar' in operand) return `Value(${load(operand.scalar, width, '0u')}${width === 4 ? '.x' : ''})`;
    const { vector } = operand;
    const elements = (groupsOf(y.channels) * 4) / width;
    return load(vector, width, vector.phased ? `phase * ${elements}u + group` : 'group');
  };
  return [
    'fn put(pixel: u32, group: u32, phase: u32, value: Value) {',
    'var v = value;',
    ...applySteps(steps, at),
    ...zeroPadding(y, width),
    store(y, width, elementIndex(y, width, 'pixel', 'group'), 'v'),
    '}',
  ];
}

/** Pointwise steps may turn the zeros of the channel padding into something else; consumers rely on zeros. */
function zeroPadding({ channels, offset }: View, width: Width): string[] {
  if ((offset + channels) % 4 === 0) return [];
  if (width === 1) return [`v = select(v, 0, group >= ${channels}u);`];
  const kept = [0, 1, 2, 3].map((lane) => lane < channels % 4).join(', ');
  return [`if (group == ${groupsOf(channels) - 1}u) { v = select(Value(), v, vec4<bool>(${kept})); }`];
}
