// To which part of a step its dispatches belong, and which steps are profiled.

import { describe, expect, test } from 'vitest';
import { GENERIC } from '../../compiler/target.js';
import { stepMemory } from '../../runtime/stepper.js';
import { type StepGroup, stepGroups } from '../../train/profile-groups.js';
import { keptOf, type PlannedStage, planStage, stageNamed } from '../../train/stages.js';
import { profiledSteps } from '../../train/trainer-profile.js';
import { TINY, tinyProgram } from './tiny.js';

function groupsOf(planned: PlannedStage): Map<StepGroup, string[]> {
  const groupOf = stepGroups(planned);
  const groups = new Map<StepGroup, string[]>();
  for (const step of planned.plan.steps) {
    const kernel = planned.plan.kernels[step.kernel]!.name;
    groups.set(groupOf(step), [...(groups.get(groupOf(step)) ?? []), kernel]);
  }
  return groups;
}

const count = (kernels: readonly string[] | undefined, pattern: RegExp) =>
  kernels?.filter((name) => pattern.test(name)).length ?? 0;

describe('the parts of a step', () => {
  const program = tinyProgram();

  test('of a generator alone', () => {
    const groups = groupsOf(planStage(program, stageNamed(program, 'psnr'), GENERIC));
    expect([...groups.keys()].sort()).toEqual(['dgrad', 'forward', 'losses', 'wgrad']);
    // Three convs; the first needs no gradient of its input.
    expect(count(groups.get('forward'), /^conv/)).toBe(3);
    expect(count(groups.get('dgrad'), /^conv|^dgrad/)).toBe(2);
    expect(count(groups.get('wgrad'), /^wgrad/)).toBe(3);
    expect(count(groups.get('losses'), /conv|wgrad/)).toBe(0);
    expect(count(groups.get('losses'), /abs/)).toBeGreaterThan(0);
  });

  test('of both players', () => {
    const groups = groupsOf(planStage(program, stageNamed(program, 'gan'), GENERIC));
    // The critic sees the original and the output, which is its input's gradient for the generator.
    expect(count(groups.get('forward'), /^conv/)).toBe(3 + 2 * 2);
    expect(count(groups.get('wgrad'), /^wgrad/)).toBe(3 + 2 * 2);
    expect(count(groups.get('losses'), /conv/)).toBe(0);
    expect(count(groups.get('losses'), /softplus/)).toBeGreaterThan(0);
  });

  test('with what is computed twice', () => {
    const deep = tinyProgram(TINY.replace('batchnorm }', 'prelu } x8'));
    const stage = stageNamed(deep, 'psnr');
    const whole = planStage(deep, stage, GENERIC);
    const { arenas, constants, planned } = stepMemory(whole.plan, keptOf(deep, stage));
    const less = planStage(deep, stage, GENERIC, arenas + constants + 0.8 * planned);
    expect(less.recomputed).toBeDefined();
    const [before, after] = [whole, less].map(groupsOf);
    expect(before!.has('recomputed')).toBe(false);
    expect(count(after!.get('recomputed'), /^conv/)).toBeGreaterThan(0);
    for (const part of ['forward', 'dgrad', 'wgrad'] as const)
      expect(count(after!.get(part), /^conv|^wgrad/), part).toBe(count(before!.get(part), /^conv|^wgrad/));
  });
});

test('ten steps are profiled, after two', () => {
  expect(profiledSteps(0, 100)).toEqual({ from: 2, to: 12 });
  expect(profiledSteps(50, 57)).toEqual({ from: 52, to: 57 });
  expect(() => profiledSteps(98, 100)).toThrow('a profile needs 3 steps or more, and 2 are left');
});
