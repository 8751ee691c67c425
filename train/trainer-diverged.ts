// The message when a training comes to NaN or infinity: which step, which layer first, on which line of the file.

import type { Node, Ref } from '../compiler/graph.js';
import { fail, printLoc } from '../diagnostics.js';
import type { Inputs, Stepper } from '../runtime/stepper.js';
import { rateAt } from './schedule.js';
import type { PlannedStage } from './stages.js';

/** `step` counts from 0; the device still has the parameters with which it began. */
export async function failDiverged(
  { stage, plan, origins }: PlannedStage,
  stepper: Stepper,
  step: number,
  inputs: readonly Inputs[],
): Promise<never> {
  const found = await stepper.diagnose(inputs);
  const origin = found && origins[plan.steps.findIndex(({ name }) => name === found.name)];
  const layer = origin && layerOf(origin);
  const place = found?.loc ? `, at ${printLoc(found.loc)}` : '';
  const rate = rateAt(stage.optimizer, stage.schedule, step);
  return fail(`stage \`${stage.name}\` diverged: step ${step + 1} gives no numbers`, {
    notes: [
      found
        ? `the first ${found.gave} is in ${layer ? `\`${layer}\`, ` : ''}${found.kernel}${place}`
        : 'every value is a number, but the norm of the gradient is none',
      `the learning rate is ${rate}`,
    ],
    help:
      'use a smaller learning rate, or limit the gradient: `clip(1)`; then train in a new folder, from the last weights ' +
      'with --init',
  });
}

/** `esrgan.body.3.rdb.1.conv.2`: the layer whose parameters a node reads. */
function layerOf({ inputs }: Node): string | undefined {
  const param: Ref | undefined = inputs.find((ref) => ref.startsWith('@'));
  return param?.slice(1, param.lastIndexOf('.'));
}
