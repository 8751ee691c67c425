// A training step that the compiler has planned: two halves give the bits of the whole, and what diverges is named by
// its line of the `.sr` file.

import { expect, test } from 'vitest';
import { planStep } from '../../compiler/step-plan.js';
import { trainingStep } from '../../compiler/training.js';
import { load } from '../../dsl/index.js';
import { targetFor } from '../../index.js';
import { type Kind, type Outcome, Stepper } from '../../runtime/stepper.js';
import { recipeOf, stepSpec } from '../../train/stages.js';
import { noisy } from '../kernels/tensors.js';
import { describeOnDevice } from '../on-device.js';

const TEXT = `generator tiny : (3, h, w) -> (3, h, w) {
  conv(5)
  batchnorm
  lrelu(0.2)
  conv(3)
}
train {
  degrade: bicubic(1); patch: 6; batch: 2
  stage only { minimize: l1; steps: 6; adam(lr=1e-3) }
}`;
const KINDS: readonly Kind[] = ['value', 'moment1', 'moment2', 'average'];

describeOnDevice('a planned step', ({ gpu }) => {
  const program = load({ name: 'tiny.sr', text: TEXT });
  const step = trainingStep(stepSpec(program, recipeOf(program).stages[0]!, 'f32'));
  const { plan } = planStep(step, targetFor(gpu));
  const weights = new Map(
    plan.residents.map(({ name, shape }, i) => [
      name,
      noisy(
        shape.reduce((a, b) => a * b, 1),
        i,
      ),
    ]),
  );
  const batchOf = (k: number) => {
    const image = (seed: number) => noisy(2 * 6 * 6 * 4, seed).map((value, i) => (i % 4 === 3 ? 0 : value));
    return { lr: Float32Array.from(image(100 + k)), hr: Float32Array.from(image(200 + k)) };
  };

  async function using<T>(use: (stepper: Stepper, outcomes: readonly Outcome[]) => Promise<T>): Promise<T> {
    const outcomes: Outcome[] = [];
    const stepper = await Stepper.open(gpu, plan, weights, {
      adam: { tiny: { betas: [0.9, 0.999], eps: 1e-8 } },
      average: { network: 'tiny', decay: 0.99 },
      onLosses: (_t, _values, _norms, outcome) => outcomes.push(outcome),
    });
    return use(stepper, outcomes).finally(() => stepper.close());
  }

  async function run(stepper: Stepper, first: number, end: number) {
    for (let k = first; k < end; k++)
      await stepper.step({ t: k + 1, rates: { tiny: 1e-3 }, inputs: [batchOf(k)] });
    return Promise.all(KINDS.map((kind) => stepper.read(kind)));
  }

  test('six steps are four and two', async () => {
    const whole = await using((stepper) => run(stepper, 0, 6));
    const kept = await using((stepper) => run(stepper, 0, 4));
    const rest = await using(async (stepper) => {
      for (const [i, kind] of KINDS.entries()) await stepper.write(kind, kept[i]!);
      return run(stepper, 4, 6);
    });
    expect(rest).toEqual(whole);
    const mean = plan.residents.find(({ name }) => name.endsWith('running_mean'))!;
    expect(whole[0]!.get(mean.name)).not.toEqual(kept[0]!.get(mean.name));
    expect(whole[3]).not.toEqual(kept[3]);
  });

  test('a step that diverges changes nothing, and is found', async () => {
    await using(async (stepper, outcomes) => {
      const before = await run(stepper, 0, 1);
      const bad = batchOf(1);
      bad.lr[50] = Number.NaN;
      await stepper.step({ t: 2, rates: { tiny: 1e-3 }, inputs: [bad] });
      expect(await run(stepper, 2, 3)).toEqual(before);
      expect(outcomes).toEqual(['updated', 'halted', 'halted']);
      const found = await stepper.diagnose([bad]);
      expect(found).toMatchObject({ gave: 'NaN', loc: { file: 'tiny.sr', line: 2, column: 3 } });
      expect(found?.kernel).toMatch(/^conv3x3/);
      expect(await stepper.diagnose([batchOf(1)])).toBeUndefined();
    });
  });
});
