// How a result leaves registers: the function `put` takes a value through the fused pointwise steps, zeroes the
// channel padding and stores it. Every family that makes a tensor ends in it. And how an operand enters them: `term` is
// an element after steps that were fused into the kernel that reads it.

import type { PointwiseOperand, PointwiseStep, View } from './kernel.js';
import { applySteps } from './pointwise.js';
import { elementIndex, groupsOf, LITERALS, load, type Numbers, store, type Width } from './text.js';

/**
 * `fn put(pixel, group, phase, value)`: `pixel` is the linear index of the pixel in `y`, `group` the group of `width`
 * channels, `phase` the phase of a phased conv (0 elsewhere).
 */
export function putFunction(
  y: View,
  steps: readonly PointwiseStep[],
  width: Width,
  numbers: Numbers = LITERALS,
): string[] {
  return [
    'fn put(pixel: u32, group: u32, phase: u32, value: Value) {',
    'var v = value;',
    ...applySteps(steps, operandsOf(y, width, numbers), numbers, width),
    ...zeroPadding(y, width, numbers),
    store(y, width, elementIndex(y, width, 'pixel', 'group', numbers), 'v'),
    '}',
  ];
}

/** `fn term(pixel, group)`: what `steps` make of four channels of `x`, 0 in the channel padding. */
export function termFunction(
  x: View,
  steps: readonly PointwiseStep[],
  numbers: Numbers = LITERALS,
): string[] {
  return [
    'fn term(pixel: u32, group: u32) -> Value {',
    `var v = ${load(x, 4, elementIndex(x, 4, 'pixel', 'group', numbers))};`,
    ...applySteps(steps, operandsOf(x, 4, numbers), numbers),
    ...(steps.length > 0 ? zeroPadding(x, 4, numbers) : []),
    'return v;',
    '}',
  ];
}

/** Where operands of steps lie for a group of `pixel` (and of `phase`, where there is one) of a tensor like `y`. */
function operandsOf(
  y: View,
  width: Width,
  numbers: Numbers,
): (operand: PointwiseOperand, group: string) => string {
  return (operand, group) => {
    if ('tensor' in operand)
      return load(operand.tensor, width, elementIndex(operand.tensor, width, 'pixel', group, numbers));
    if ('scalar' in operand) return `Value(${load(operand.scalar, width, '0u')}${width === 4 ? '.x' : ''})`;
    const { vector } = operand;
    const elements = (groupsOf(y.channels) * 4) / width;
    return load(vector, width, vector.phased ? `phase * ${elements}u + ${group}` : group);
  };
}

/** Pointwise steps may turn the zeros of the channel padding into something else; consumers rely on zeros. */
function zeroPadding({ channels, offset }: View, width: Width, numbers: Numbers): string[] {
  if ((offset + channels) % 4 === 0) return [];
  if (width === 1) return [`v = select(v, 0, group >= ${numbers.count('channels', channels)});`];
  const kept = [0, 1, 2, 3].map((lane) => lane < channels % 4).join(', ');
  const last = numbers.count('last', groupsOf(channels) - 1);
  return [`if (group == ${last}) { v = select(Value(), v, vec4<bool>(${kept})); }`];
}
