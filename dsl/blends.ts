// `blend interpolated = 0.8 * gan + 0.2 * psnr`: a weighted mean of what stages trained, over every tensor.

import { fail, type Span } from '../diagnostics.js';
import type { BlendItem, Expr } from './ast.js';
import { type Env, evaluate, unknownName } from './values.js';

export interface Blend {
  readonly name: string;
  readonly terms: readonly { readonly stage: string; readonly weight: number }[];
}

type Weights = ReadonlyMap<string, number>;

export function readBlend({ name, value }: BlendItem, stages: readonly string[], env: Env): Blend {
  const weights = linear(value, stages, env);
  if (typeof weights === 'number')
    return fail('a blend combines stages', { span: value.span, label: 'this is a number' });
  const sum = [...weights.values()].reduce((a, b) => a + b, 0);
  if (Math.abs(sum - 1) > 1e-6) {
    fail('the weights of a blend must add up to 1', {
      span: value.span,
      label: `these add up to ${Number(sum.toPrecision(6))}`,
    });
  }
  return { name: name.text, terms: [...weights].map(([stage, weight]) => ({ stage, weight })) };
}

/** The expression as weights of stages, or as the number it is. */
function linear(expr: Expr, stages: readonly string[], env: Env): Weights | number {
  if (expr.kind === 'ref' && stages.includes(expr.name)) return new Map([[expr.name, 1]]);
  if (expr.kind === 'negate') {
    const value = linear(expr.value, stages, env);
    return typeof value === 'number' ? -value : combined(value, -1);
  }
  if (expr.kind !== 'binary') return constant(expr, stages, env);
  const left = linear(expr.left, stages, env);
  const right = linear(expr.right, stages, env);
  if (typeof left === 'number') {
    if (typeof right === 'number') return constant(expr, stages, env);
    return expr.op === '*' ? combined(right, left) : notLinear(expr.span);
  }
  if (typeof right === 'number') {
    if (expr.op === '*') return combined(left, right);
    return expr.op === '/' && right !== 0 ? combined(left, 1 / right) : notLinear(expr.span);
  }
  if (expr.op === '+') return combined(left, 1, right, 1);
  return expr.op === '-' ? combined(left, 1, right, -1) : notLinear(expr.span);
}

/** a * by + b * times */
function combined(a: Weights, by: number, b: Weights = new Map(), times = 1): Weights {
  const sum = new Map([...a].map(([stage, weight]) => [stage, weight * by]));
  for (const [stage, weight] of b) sum.set(stage, (sum.get(stage) ?? 0) + weight * times);
  return sum;
}

function constant(expr: Expr, stages: readonly string[], env: Env): number {
  if (expr.kind === 'ref' && !env.has(expr.name)) unknownName(expr.name, expr.span, stages);
  const value = evaluate(expr, env);
  return typeof value === 'number' ? value : fail('a weight must be a number', { span: expr.span });
}

function notLinear(span: Span): never {
  return fail('a blend is a sum of weights times stages', { span, help: 'write `0.8 * gan + 0.2 * psnr`' });
}
