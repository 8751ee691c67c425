// Plans of training steps on the CPU: in the plan's own buffers, with the reference of each step's node.

import { expect } from 'vitest';
import { load as loadTensor, store } from '../../compiler/device-tensors.js';
import { type Ref, typesOf } from '../../compiler/graph.js';
import { layoutsOf } from '../../compiler/layout.js';
import { opNamed } from '../../compiler/ops/registry.js';
import { type PlannedStep, residentsOf } from '../../compiler/step-plan.js';
import type { Tensor } from '../../compiler/tensor.js';
import type { StepGraph } from '../../compiler/training.js';
import { evalDim } from '../../runtime/dims.js';
import type { Operand } from '../../runtime/plan.js';

/** Losses, gradients and new state, as the plan leaves them in its buffers. */
export function simulate(step: StepGraph, planned: PlannedStep, values: ReadonlyMap<Ref, Tensor>): Tensor[] {
  const { graph, plan, origins } = planned;
  const [types, layouts] = [typesOf(graph), layoutsOf(graph)];
  const buffers = plan.buffers.map(({ dims, stride }) =>
    new Float64Array(dims.reduce<number>((size, dim) => size * evalDim(dim, {}), stride)).fill(Number.NaN),
  );
  const located = (ref: Ref, operand: Operand) => ({
    shape: types.get(ref)!.shape as number[],
    layout: layouts.get(ref)!,
    operand,
  });
  const constants = new Map<Ref, Tensor>();
  const residents = residentsOf(graph);
  for (const { ref } of graph.params) if (!residents.has(ref)) constants.set(ref, values.get(ref)!);
  for (const { ref, op, inputs, attrs, type } of graph.nodes) {
    const args = inputs.map((input) => constants.get(input));
    if (!args.every((arg) => arg !== undefined)) continue;
    constants.set(ref, opNamed(op).reference(args, attrs, type.shape as number[]));
  }
  plan.inputs.forEach(({ buffer, channels }, i) => {
    const { ref } = graph.inputs[i]!;
    store(plan, located(ref, { buffer, offset: 0, channels }), buffers[buffer]!, {}, values.get(ref)!);
  });
  const placeOf = (param: string, of: 'value' | 'gradient') =>
    plan.buffers.findIndex(
      ({ resident }) => resident?.of === of && plan.residents[resident.resident]!.name === param,
    );
  for (const ref of residents) {
    const buffer = placeOf(ref.slice(1), 'value');
    store(plan, located(ref, { buffer, offset: 0, channels: 0 }), buffers[buffer]!, {}, values.get(ref)!);
  }

  plan.steps.forEach((one, i) => {
    const node = origins[i]!;
    const reads = [...one.reads];
    const inputs = node.inputs.map((ref) => {
      const operand = constants.has(ref) ? undefined : reads.shift()!;
      return operand
        ? loadTensor(plan, located(ref, operand), buffers[operand.buffer]!, {})
        : constants.get(ref)!;
    });
    const shape = node.type.shape as number[];
    const own = node.op === 'concat' ? shape.with(1, one.writes.channels) : shape;
    const value = { ...located(node.ref, one.writes), shape: own };
    const result = opNamed(node.op).reference(inputs, node.attrs, own);
    store(plan, value, buffers[one.writes.buffer]!, {}, result);
  });

  const read = (ref: Ref, buffer: number) =>
    loadTensor(plan, located(ref, { buffer, offset: 0, channels: 0 }), buffers[buffer]!, {});
  return [
    ...plan.outputs.map(({ buffer }, i) => read(graph.outputs[i]!, buffer)),
    ...[...step.gradients.keys()].map((param) => read(param, placeOf(param.slice(1), 'gradient'))),
    ...graph.updates.map(({ param }) => read(param, placeOf(param.slice(1), 'value'))),
  ];
}

/** Relative to the largest value of each result; `floor` is for those that cancel to nothing. */
export function expectClose(
  actual: readonly Pick<Tensor, 'data'>[],
  expected: readonly Tensor[],
  tolerance: number,
  floor = 1e-3,
) {
  expect(actual.length).toBe(expected.length);
  actual.forEach(({ data }, i) => {
    const largest = expected[i]!.data.reduce((max, v) => Math.max(max, Math.abs(v)), floor);
    const worst = expected[i]!.data.reduce((max, v, k) => Math.max(max, Math.abs(v - data[k]!)), 0);
    expect(worst / largest, `result ${i}`).toBeLessThan(tolerance);
  });
}
