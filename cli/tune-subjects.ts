// What `src tune` measures of a file: its network as `src run` runs it, and the steps of its trainings.

import { lower } from '../compiler/lower.js';
import { lowerStep } from '../compiler/step-plan.js';
import type { Target } from '../compiler/target.js';
import type { Subject } from '../compiler/tune.js';
import type { Program } from '../dsl/index.js';
import type { Compiled } from '../index.js';
import type { Size } from '../runtime/schedule.js';
import { planStage, type TrainingStage } from '../train/stages.js';

export interface Named {
  readonly name: string;
  readonly subject: Subject;
}

export function networkSubject({ network, graph }: Compiled, size: Size): Named {
  const lowerNetwork: Subject['lower'] = (target) => lower(graph, target);
  if (typeof network.input[1] === 'number')
    return { name: network.name, subject: { graph, lower: lowerNetwork } };
  const name = `${network.name}, ${size.width}x${size.height}`;
  return { name, subject: { graph, lower: lowerNetwork, size } };
}

export function stageSubject(program: Program, stage: TrainingStage, target: Target, memory: number): Named {
  const { step, graph } = planStage(program, stage, target, memory);
  const { name, batch, patch } = stage;
  return {
    name: `a step of ${name}, ${batch} patches of ${patch}x${patch}`,
    subject: { graph, lower: (other) => lowerStep({ ...step, graph }, other) },
  };
}
