// The check of gradients: it finds nothing in what is right, what a loss detaches included, and finds what is wrong, in
// the mathematics and on the device.

import { afterEach, expect, test } from 'vitest';
import { opNamed } from '../../compiler/ops/registry.js';
import type { Finding } from '../../compiler/selfcheck.js';
import { load, targetFor } from '../../index.js';
import { checkGradients, withSmallPatches } from '../../train/gradient-check.js';
import { describeOnDevice } from '../on-device.js';
import { TINY } from './tiny.js';

const TEXT = TINY.replace(
  'minimize: l1 + 1e-2 * gan(critic)',
  'minimize: l1 + 1e-2 * ragan(critic, detach_mean=true)',
);

test('patches are as small as discriminators allow', () => {
  const sized = (text: string) =>
    withSmallPatches((patch) => load({ name: 'a.sr', text }, patch === undefined ? {} : { patch }));
  expect(sized(TINY).recipe?.stages[0]?.patch).toBe(16);
  const wide = TINY.replace(/discriminator critic.*/, 'discriminator critic = vgg128(features=4)');
  expect(sized(wide.replace('patch: 16', 'patch: 64')).recipe?.stages[0]?.patch).toBe(32);
  const fixed = TINY.replace(/critic :.*/, 'critic : (3, 52, 52) -> (1, 1, 1) { linear(1) }');
  expect(sized(fixed.replace('patch: 16', 'patch: 52')).recipe?.stages[0]?.patch).toBe(52);
  expect(() => sized(fixed)).toThrow('does not take the recipe');
});

describeOnDevice('gradients', ({ gpu }) => {
  const restore: (() => void)[] = [];
  afterEach(() => {
    for (const undo of restore.splice(0)) undo();
  });

  /** Falsifies an op until the end of the test. */
  function falsify(name: string, change: Partial<ReturnType<typeof opNamed>>): void {
    const op = opNamed(name);
    const before = { ...op };
    Object.assign(op, change);
    restore.push(() => Object.assign(op, before));
  }

  async function wrong(): Promise<string[]> {
    const program = load({ name: 'tiny.sr', text: TEXT }, { patch: 8 });
    const findings: Finding[] = [];
    for await (const finding of checkGradients(gpu, program, targetFor(gpu))) findings.push(finding);
    expect(findings.map(({ what }) => what)).toContain('gan, critic.batchnorm: 2 tensors');
    return findings.filter(({ error, tolerance }) => !(error <= tolerance)).map(({ what }) => what);
  }

  test('that are right', async () => {
    expect(await wrong()).toEqual([]);
  });

  test('that are wrong in the graph', async () => {
    const { gradient } = opNamed('conv2d');
    if (typeof gradient === 'string') throw new Error('conv2d has a gradient');
    falsify('conv2d', {
      gradient(context) {
        const [dx, dw] = gradient(context);
        return [dx, dw && context.emit('add', [dw, dw])];
      },
    });
    const found = await wrong();
    expect(found).toContain("psnr, tiny: finite differences of the generator's loss");
    expect(found).toContain("gan, critic: finite differences of the discriminator's loss");
    expect(found.every((what) => what.includes('finite differences'))).toBe(true);
  });

  test('that are wrong on the device', async () => {
    const { reference } = opNamed('conv2d_wgrad');
    falsify('conv2d_wgrad', {
      reference(inputs, attrs, shape) {
        const { data } = reference(inputs, attrs, shape);
        return { shape, data: data.map((value) => 1.01 * value) };
      },
    });
    expect(await wrong()).toContain('psnr, tiny.head: 3 tensors');
  });
});
