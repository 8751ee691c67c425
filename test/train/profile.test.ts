// To which part of a step its dispatches belong, which steps are profiled, and that this changes nothing.

import { describe, expect, test } from 'vitest';
import { GENERIC, targetFor } from '../../compiler/target.js';
import { profileOf, type Recording } from '../../runtime/profile.js';
import { stepMemory } from '../../runtime/stepper.js';
import { type StepGroup, stepGroups } from '../../train/profile-groups.js';
import { keptOf, overridden, type PlannedStage, planStage, stageNamed } from '../../train/stages.js';
import { initialState, trainStage } from '../../train/trainer.js';
import { type ProfiledSteps, profiledSteps } from '../../train/trainer-profile.js';
import { describeOnDevice } from '../on-device.js';
import { patterns, recorder, TINY, tinyProgram } from './tiny.js';

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
  expect(() => profiledSteps(99, 100)).toThrow('a profile needs 3 steps or more, and 1 is left');
});

describeOnDevice('a profiled training', ({ gpu }) => {
  const program = tinyProgram();
  const stage = overridden(stageNamed(program, 'psnr'), { steps: 6 });
  const planned = planStage(program, stage, targetFor(gpu));

  /** A checkpoint falls into the steps that are profiled. */
  async function train(steps?: ProfiledSteps) {
    const recordings: Recording[] = [];
    const onRecorded = async (recording: Recording) => void recordings.push(recording);
    const state = await trainStage(gpu, planned, {
      state: initialState(planned),
      perception: new Map(),
      batches: patterns(program, stage),
      recorder: recorder(),
      every: { log: 1, validate: 100, checkpoint: 3, minutes: 10 },
      ...(steps && { profile: { steps, onRecorded } }),
    });
    return { state, recordings };
  }

  test('comes to the same bits', async () => {
    const plain = await train();
    const profiled = await train({ from: 2, to: 5 });
    expect(profiled.state).toEqual(plain.state);
    expect(plain.recordings).toEqual([]);
    const [recording] = profiled.recordings;
    const steps = recording!.device.flatMap(({ task }) => ('step' in task ? [task.step] : []));
    expect(steps).toEqual(Array(3).fill(planned.plan.steps).flat());
    const { groups, total } = profileOf(recording!, {
      ceilings: { gflops: 100, gbytes: 10 },
      runs: 3,
      groupOf: stepGroups(planned),
    });
    expect(new Set(groups.map(({ group }) => group))).toEqual(
      new Set(['forward', 'dgrad', 'wgrad', 'losses', 'optimizer', 'copies']),
    );
    expect(groups.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    expect(total.ms).toBeGreaterThan(0);
  });

  test('to its last step', async () => {
    const { recordings } = await train({ from: 4, to: 6 });
    const adams = recordings[0]!.device.filter(({ task }) => 'name' in task && task.kernel === 'adam');
    expect(adams).toHaveLength(2);
  });
});
