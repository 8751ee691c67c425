// Recomputing activations: the same bits for less memory.

import { describe, expect, test } from 'vitest';
import { optimizeStep } from '../../compiler/passes/pipeline.js';
import { cut, forwardPass } from '../../compiler/recompute/blocks.js';
import { repeat } from '../../compiler/recompute/repeat.js';
import { recompute } from '../../compiler/recompute.js';
import { planStep, residentsOf } from '../../compiler/step-plan.js';
import { GENERIC } from '../../compiler/target.js';
import { verify } from '../../compiler/verify.js';
import { layOut } from '../../runtime/step-memory.js';
import { type Objective, runAll, stepOf, valuesOf } from './steps.js';

function optimized(objective: Objective) {
  const { graph, losses } = stepOf(objective);
  const result = optimizeStep(graph, residentsOf(graph), GENERIC).graph;
  const forward = [...result.outputs.slice(0, losses.length), ...result.updates.map(({ value }) => value)];
  return { graph: result, forward };
}

function bytesOf({ plan }: ReturnType<typeof planStep>): number {
  const { planned, constants, arenas } = layOut(plan, {}).memory;
  return planned + constants + arenas;
}

describe.each(['ragan', 'spectral', 'tv'] as const)('%s', (objective) => {
  const { graph, forward } = optimized(objective);
  const values = valuesOf(graph);
  const expected = runAll(graph, values);

  test.each([2, 8, 32])('cut in %i, every block recomputed gives the same bits', (cuts) => {
    const pass = forwardPass(graph, forward);
    const blocks = cut(pass, cuts);
    const repeated = verify(repeat(graph, pass, blocks), 'test');
    expect(blocks.length).toBeGreaterThan(0);
    expect(repeated.nodes.length).toBeGreaterThan(graph.nodes.length);
    expect(runAll(repeated, values)).toEqual(expected);
    expect(repeated.updates.length).toBe(graph.updates.length);
  });

  test('blocks do not overlap, and what is saved is in them', () => {
    const blocks = cut(forwardPass(graph, forward), 8);
    blocks.slice(1).forEach(({ first }, i) => {
      expect(first).toBeGreaterThan(blocks[i]!.last);
    });
    expect(blocks.every(({ saved, work }) => saved > 0 && work >= saved)).toBe(true);
  });
});

test('the least work that is enough; more than enough memory needs none', () => {
  const { graph, forward } = optimized('gan');
  const size = ({ nodes }: typeof graph) => 1000 - (nodes.length - graph.nodes.length);
  expect(recompute(graph, forward, 1000, size)).toMatchObject({ graph, blocks: 0 });
  const some = recompute(graph, forward, 990, size);
  const all = recompute(graph, forward, 0, size);
  expect(some.bytes).toBeLessThanOrEqual(990);
  expect(all.bytes).toBeLessThan(some.bytes);
});

describe('a plan within a budget', () => {
  const step = stepOf('ragan', { batch: 8 });
  const whole = planStep(step, GENERIC);

  test('keeps to it, and says what it does', () => {
    const memory = 0.97 * bytesOf(whole);
    const less = planStep(step, GENERIC, { memory });
    expect(bytesOf(less)).toBeLessThanOrEqual(memory);
    expect(less.plan.steps.length).toBeGreaterThan(whole.plan.steps.length);
    expect(less.recomputed).toMatch(/^\d+ of \d+ blocks: .+ instead of .+$/);
    expect(less.log.at(-1)).toEqual({ pass: 'recompute', did: less.recomputed });
  });

  test('recomputes nothing that fits', () => {
    expect(planStep(step, GENERIC, { memory: bytesOf(whole) })).toEqual(whole);
  });

  test('says what would help when even the least is too much', () => {
    expect(() => planStep(step, GENERIC, { memory: 1000 })).toThrow(
      /^a training step of net needs at least .+ KiB$/,
    );
  });
});
