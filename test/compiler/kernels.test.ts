// Every op of the registry that has a kernel, on a device: the kernel that its record launches against its reference.
// Adding a record adds its test.

import { expect, test } from 'vitest';
import { GraphBuilder } from '../../compiler/builder.js';
import type { Sample } from '../../compiler/ops/op.js';
import { OPS } from '../../compiler/ops/registry.js';
import { checkKernels, randomWeights } from '../../compiler/selfcheck.js';
import { targetFor } from '../../index.js';
import { describeOnDevice } from '../on-device.js';

/** The op alone. Images are inputs of the graph, everything else (weights, vectors) its parameters. */
function graphOf(op: string, { inputs, attrs }: Sample) {
  const builder = new GraphBuilder(op);
  const refs = inputs.map((shape, i) =>
    shape.length === 4 && !(op === 'conv2d' && i === 1)
      ? builder.input(`x${i}`, { shape })
      : builder.param(`p${i}`, shape, { kind: 'constant', value: 0 }),
  );
  return builder.finish([builder.emit(op, refs, attrs)]);
}

/** Scalar operands come with training; kernels are fed both signs (test/kernels has log and sqrt). */
function isCheckable({ inputs, positive }: Sample): boolean {
  return inputs.every((shape) => shape.length > 0) && !(positive && inputs.length === 1);
}

const cases = [...OPS.values()]
  .filter(({ launch }) => typeof launch === 'function')
  .flatMap(({ name, samples }) => samples.filter(isCheckable).map((sample) => [name, sample] as const));

describeOnDevice('kernels', (device) => {
  test.each(cases)('%s %j', async (name, sample) => {
    const graph = graphOf(name, sample);
    const target = targetFor(device.gpu);
    let checked = 0;
    for await (const { error, tolerance } of checkKernels(device.gpu, graph, target, randomWeights(graph))) {
      expect(error).toBeLessThanOrEqual(tolerance);
      checked++;
    }
    expect(checked).toBeGreaterThan(0);
  });
});
