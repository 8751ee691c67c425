// What the buffers of a step hold while it is measured: numbers that a network might have, as kernels leave them, with
// zeros in the padding. All candidates of a step are given the same.

import { evalDim, type Sizes } from '../runtime/dims.js';
import type { Plan, StepPlan } from '../runtime/plan.js';
import type { Elements } from '../runtime/probe.js';
import { store } from './device-tensors.js';
import { type Graph, typesOf } from './graph.js';
import { concrete } from './interpret.js';
import { layoutsOf } from './layout.js';
import { ConstantTable } from './lower/constants.js';
import type { Lowered } from './lower.js';
import { randomSource } from './random.js';
import { sizeOf } from './tensor.js';

/** Of each buffer that step `index` binds. */
export function contentsOf(
  graph: Graph,
  { plan, origins }: Lowered,
  index: number,
  sizes: Sizes,
): Map<number, Elements> {
  const [step, node] = [plan.steps[index]!, origins[index]!];
  const [types, layouts] = [typesOf(graph), layoutsOf(graph)];
  const residents = residentsOf(plan);
  const constants = new ConstantTable(graph, plan.precision, (ref) => residents.has(ref.slice(1)));
  const contents = new Map<number, Elements>();
  const elementsOf = (buffer: number): Elements => {
    const { dims, stride } = plan.buffers[buffer]!;
    const length = dims.reduce<number>((product, dim) => product * evalDim(dim, sizes), stride);
    const elements = contents.get(buffer) ?? new Float32Array(length);
    contents.set(buffer, elements);
    return elements;
  };
  const operands = node.inputs
    .filter((ref) => !constants.has(ref))
    .map((ref, i) => [ref, step.reads[i]!] as const);
  for (const [, { buffer }] of operands) if (!contents.has(buffer)) fill(elementsOf(buffer));
  for (const [ref, operand] of operands) {
    const [layout, shape] = [layouts.get(ref)!, concrete(types.get(ref)!, sizes)];
    // Images are large; where they have no padding they are as they should be.
    if (layout === 'image' && operand.channels % 4 === 0) continue;
    const data = Float64Array.from(fill(new Float32Array(sizeOf(shape))));
    store(plan, { shape, layout, operand }, elementsOf(operand.buffer), sizes, { shape, data });
  }
  elementsOf(step.writes.buffer);
  return contents;
}

function residentsOf(plan: Plan & Partial<StepPlan>): Set<string> {
  return new Set((plan.residents ?? []).map(({ name }) => name));
}

/** A prime: rows of images do not repeat. */
const PERIOD = 99_991;

/** With multiples of 1/256 in [-1/4, 1/4), which f16 holds exactly. */
function fill(elements: Elements): Elements {
  const random = randomSource(elements.length);
  for (let i = 0; i < Math.min(PERIOD, elements.length); i++)
    elements[i] = Math.floor(random() * 128 - 64) / 256;
  for (let known = PERIOD; known < elements.length; known *= 2) elements.copyWithin(known, 0, known);
  return elements;
}
