// Signatures: `(3, h, w) -> (3, 4*h, 4*w)` as shapes, where `h` and `w` are what an image brings.

import type { TensorType } from '../compiler/graph.js';
import { fail, type Span } from '../diagnostics.js';
import { type Dim, isSymbolic, printDim, sameDim, sym } from '../runtime/dims.js';
import type { Expr, Signature } from './ast.js';
import { describe, type Env, evaluate, isSize, type Value } from './values.js';

/** Channels, height and width; the batch is implicit. */
export type Shape = readonly [channels: number, height: Dim, width: Dim];

export function shapesOf(signature: Signature, env: Env): { input: Shape; output?: Shape } {
  const sizes = new Map<string, Value>([['h', sym('h')], ['w', sym('w')], ...env]);
  const input = shapeOf(signature.input, sizes, signature.span);
  const [, height, width] = input;
  const symbolic = sameSize(height, 'h') && sameSize(width, 'w');
  if (!symbolic && (isSymbolic(height) || isSymbolic(width))) {
    fail('an input is (channels, h, w), or has fixed sizes', {
      span: signature.span,
      label: `not ${printShape(input)}`,
    });
  }
  return { input, ...(signature.output && { output: shapeOf(signature.output, sizes, signature.span) }) };
}

function sameSize(dim: Dim, axis: string): boolean {
  return isSymbolic(dim) && sameDim(dim, sym(axis));
}

function shapeOf(exprs: readonly Expr[], env: Env, span: Span): Shape {
  const [channels, height, width, more] = exprs.map((expr) => {
    const value = evaluate(expr, env);
    if (isSize(value) && (isSymbolic(value) || (Number.isSafeInteger(value) && value > 0))) return value;
    return fail('an extent must be a whole number, 1 or more', {
      span: expr.span,
      label: `this is ${describe(value)}`,
    });
  });
  if (height === undefined || width === undefined || more !== undefined || typeof channels !== 'number') {
    return fail('a shape has three extents: channels (a number), height, width', { span });
  }
  return [channels, height, width];
}

/** `(3, h, w)` */
export function printShape(shape: Shape): string {
  return `(${shape.map(printDim).join(', ')})`;
}

/** The image type of `shape`, any batch. */
export function imageType(shape: Shape): TensorType {
  return { shape: [sym('n'), ...shape] };
}

/** Output size over input size; `span` is the signature's. */
export function scaleOf(input: Shape, output: Shape, span: Span): number {
  const [vertical, horizontal] = [ratio(output[1], input[1]), ratio(output[2], input[2])];
  if (vertical !== undefined && vertical === horizontal) return vertical;
  return fail('a generator must enlarge height and width by one factor', {
    span,
    label: `this is ${printShape(input)} -> ${printShape(output)}`,
  });
}

function ratio(out: Dim, into: Dim): number | undefined {
  if (!isSymbolic(out) && !isSymbolic(into)) return out / into;
  return isSymbolic(out) && isSymbolic(into) && out.sym === into.sym && out.add === 0
    ? out.mul / out.div
    : undefined;
}
