// Graph -> Plan: every value gets a channel range of a buffer, every device node becomes one step (a concat: one per
// operand that could not be placed), kernels are shared by their text, and constants become expressions over the
// parameters with the packing their kernel asked for. A training step also leaves gradients and new state in their
// places.

import { type Dim, gcd, isSymbolic } from '../runtime/dims.js';
import { type Operand, PLAN_VERSION, type Plan, type Step } from '../runtime/plan.js';
import type { Graph, Node, Ref } from './graph.js';
import { typesOf } from './graph.js';
import { BufferTable, type Persistence } from './lower/buffers.js';
import { ConstantTable } from './lower/constants.js';
import { buildStep, KernelTable } from './lower/step.js';
import { place } from './placement.js';
import type { Target } from './target.js';

export interface Lowered {
  readonly plan: Plan;
  /** The node that each step computes; for a copy into a concat, a concat of that one operand. */
  readonly origins: readonly Node[];
}

const NOTHING: Persistence = { residents: new Map(), gradients: new Map() };

/** A graph, optimized or not, as a plan for `target`; without `persistence` all parameters are constants. */
export function lower(graph: Graph, target: Target, persistence: Persistence = NOTHING): Lowered {
  const { residents, gradients } = persistence;
  const placement = place(graph);
  const constants = new ConstantTable(graph, target.precision, (param) => residents.has(param));
  const buffers = new BufferTable(graph, placement, constants, target.precision, persistence);
  const kernels = new KernelTable();
  const types = typesOf(graph);

  const tables = { types, target, constants, buffers, kernels };
  const origins: Node[] = [];
  const steps: Step[] = [];
  const append = (node: Node, into: Operand) => {
    origins.push(node);
    steps.push(buildStep(node, into, tables));
  };
  for (const node of graph.nodes) {
    if (constants.has(node.ref) || placement.aliases.has(node.ref)) continue;
    const into = buffers.operand(node.ref);
    if (node.op !== 'concat') append(node, into);
    for (const i of placement.copies.get(node.ref) ?? []) {
      const ref = node.inputs[i]!;
      const before = node.inputs.slice(0, i).reduce((sum, other) => sum + buffers.operand(other).channels, 0);
      const { channels } = buffers.operand(ref);
      append({ ...node, inputs: [ref] }, { ...into, offset: into.offset + before, channels });
    }
  }
  const store = (value: Ref, into: Operand) =>
    append({ ref: value, op: 'detach', inputs: [value], attrs: {}, type: types.get(value)! }, into);
  for (const [param, value] of gradients) {
    const into = buffers.gradientOf(param);
    if (constants.has(value) || buffers.operand(value) !== into) store(value, into);
  }
  for (const { param, value } of graph.updates) {
    const into = buffers.operand(param);
    if (constants.has(value) || buffers.operand(value) !== into) store(value, into);
  }

  const port = (ref: Ref) => {
    const { buffer, channels } = buffers.operand(ref);
    return { name: ref.slice(1), buffer, channels };
  };
  const plan: Plan = {
    format: 'src-plan',
    version: PLAN_VERSION,
    name: graph.name,
    precision: target.precision,
    align: alignment(buffers.list.flatMap(({ dims }) => dims)),
    inputs: graph.inputs.map(({ ref }) => port(ref)),
    outputs: graph.outputs.slice(0, graph.outputs.length - gradients.size).map(port),
    parameters: graph.params
      .filter(({ ref }) => constants.used.has(ref))
      .map(({ ref, type }) => ({ name: ref.slice(1), shape: type.shape as number[] })),
    constants: constants.list,
    buffers: buffers.list,
    kernels: kernels.list,
    steps,
  };
  return { plan, origins };
}

/** The least common multiple of the divisors: input sizes must be multiples of it. */
export function alignment(dims: readonly Dim[]): number {
  return dims.reduce((lcm: number, dim) => {
    const div = isSymbolic(dim) ? dim.div : 1;
    return (lcm * div) / gcd(lcm, div);
  }, 1);
}
