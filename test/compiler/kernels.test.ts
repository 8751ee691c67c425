// Every op of the registry that has a kernel, on a device: the kernel that its record launches against its reference.
// Adding a record adds its test.

import { expect, test } from 'vitest';
import { GraphBuilder } from '../../compiler/builder.js';
import type { Ref } from '../../compiler/graph.js';
import type { Sample } from '../../compiler/ops/op.js';
import { OPS } from '../../compiler/ops/registry.js';
import { checkKernels, randomWeights } from '../../compiler/selfcheck.js';
import { targetFor } from '../../index.js';
import { describeOnDevice } from '../on-device.js';

/** Operands of four dimensions that are weights. */
const WEIGHTS: Readonly<Record<string, number>> = {
  conv2d: 1,
  conv2d_dgrad: 1,
  nearest_kernel: 0,
  nearest_kernel_adjoint: 0,
};

/** The op alone. Images are inputs of the graph, everything else (weights, vectors) its parameters. */
function graphOf(op: string, { inputs, attrs }: Sample) {
  const builder = new GraphBuilder(op);
  const refs = inputs.map((shape, i) =>
    shape.length === 4 && WEIGHTS[op] !== i
      ? builder.input(`x${i}`, { shape })
      : builder.param(`p${i}`, shape, { kind: 'constant', value: 0 }),
  );
  return builder.finish([builder.emit(op, refs, attrs)]);
}

/** Kernels are fed both signs (test/kernels has log and sqrt). */
function isCheckable({ inputs, positive }: Sample): boolean {
  return !(positive && inputs.length === 1);
}

const cases = [...OPS.values()]
  .filter(({ launch }) => typeof launch === 'function')
  .flatMap(({ name, samples }) => samples.filter(isCheckable).map((sample) => [name, sample] as const));

describeOnDevice('kernels', (device) => {
  async function check(name: string, sample: Sample, residents: (params: Ref[]) => Ref[]) {
    const graph = graphOf(name, sample);
    const target = targetFor(device.gpu);
    const weights = randomWeights(graph);
    const kept = residents(graph.params.map(({ ref }) => ref));
    let checked = 0;
    for await (const { error, tolerance } of checkKernels(device.gpu, graph, target, weights, kept)) {
      expect(error).toBeLessThanOrEqual(tolerance);
      checked++;
    }
    return checked;
  }

  test.each(cases)('%s %j', async (name, sample) => {
    expect(await check(name, sample, (params) => params)).toBeGreaterThan(0);
  });

  test.each(
    cases.filter(([, { inputs }]) => inputs.length > 1 && inputs.some((shape) => shape.length !== 4)),
  )('%s %j, with constants', async (name, sample) => {
    expect(await check(name, sample, () => [])).toBeGreaterThan(0);
  });
});
