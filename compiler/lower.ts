// Graph -> Plan: every value gets a channel range of a buffer, every device node becomes one step (a concat: one per
// operand that could not be placed), kernels are shared by their text, and constants become expressions over the
// parameters with the packing their kernel asked for.

import { internal } from '../diagnostics.js';
import { type Dim, gcd, isSymbolic } from '../runtime/dims.js';
import {
  type KernelCall,
  type PointwiseOperand,
  type PointwiseStep,
  roundUp,
  type Vector,
  type View,
} from '../runtime/kernels/kernel.js';
import {
  type Binding,
  type ConstantExpr,
  type DType,
  type Operand,
  type Packing,
  PLAN_VERSION,
  type Plan,
  type PlanBuffer,
  type PlanConstant,
  type PlanKernel,
  type Step,
} from '../runtime/plan.js';
import type { Graph, Node, Ref, TensorType } from './graph.js';
import { typesOf } from './graph.js';
import { epilogueOf, isVector, stepOf } from './ops/epilogue.js';
import { POINTWISE_REACH } from './ops/op.js';
import { isPointwise } from './ops/pointwise.js';
import { opNamed } from './ops/registry.js';
import { image } from './ops/types.js';
import { type Placement, place } from './placement.js';
import type { Target } from './target.js';

export interface Lowered {
  readonly plan: Plan;
  /** The node that each step computes; for a copy into a concat, a concat of that one operand. */
  readonly origins: readonly Node[];
}

/** An inference graph, optimized or not, as a plan for `target`. */
export function lower(graph: Graph, target: Target): Lowered {
  const placement = place(graph);
  const constants = new ConstantTable(graph, target.precision);
  const buffers = new BufferTable(graph, placement, target.precision, constants);
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
    if (constants.has(node.ref)) continue;
    const into = buffers.operand(node.ref);
    if (node.op !== 'concat') append(node, into);
    for (const i of placement.copies.get(node.ref) ?? []) {
      const ref = node.inputs[i]!;
      const before = node.inputs.slice(0, i).reduce((sum, other) => sum + buffers.operand(other).channels, 0);
      const { channels } = buffers.operand(ref);
      append({ ...node, inputs: [ref] }, { ...into, offset: into.offset + before, channels });
    }
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
    outputs: graph.outputs.map(port),
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
function alignment(dims: readonly Dim[]): number {
  return dims.reduce((lcm: number, dim) => {
    const div = isSymbolic(dim) ? dim.div : 1;
    return (lcm * div) / gcd(lcm, div);
  }, 1);
}

/** Where every activation lies. */
class BufferTable {
  readonly list: PlanBuffer[] = [];
  readonly #operands = new Map<Ref, Operand>();

  constructor(graph: Graph, { homes }: Placement, precision: DType, constants: ConstantTable) {
    const ports = new Set<Ref>([...graph.inputs.map((input) => input.ref), ...graph.outputs]);
    const values = [...graph.inputs, ...graph.nodes].filter(({ ref }) => !constants.has(ref));
    for (const { ref, type } of values) {
      if (homes.has(ref)) continue;
      const { n, c, h, w } = image(type, graph.name);
      const dtype = ports.has(ref) ? 'f32' : precision;
      this.#operands.set(ref, { buffer: this.list.length, offset: 0, channels: c });
      this.list.push({ name: ref.slice(1), dims: [n, h, w], stride: roundUp(c, 4), dtype });
    }
    for (const { ref, type } of values) {
      const home = homes.get(ref);
      if (!home) continue;
      const { buffer } = this.operand(home.slab);
      this.#operands.set(ref, { buffer, offset: home.offset, channels: image(type, graph.name).c });
    }
  }

  operand(ref: Ref): Operand {
    return this.#operands.get(ref) ?? internal(`${ref} has no buffer`);
  }

  view({ buffer, offset, channels }: Operand, slot: number): View {
    const { dims, stride, dtype } = this.list[buffer] ?? internal(`no buffer ${buffer}`);
    return { slot, dtype, dims, channels, stride, offset };
  }
}

/** Refs that depend on parameters alone, and the packed constants that steps ask for. */
class ConstantTable {
  readonly list: PlanConstant[] = [];
  /** Parameters that some constant reads. */
  readonly used = new Set<Ref>();
  readonly #exprs = new Map<Ref, ConstantExpr>();
  readonly #indices = new Map<string, number>();

  constructor(
    graph: Graph,
    readonly precision: DType,
  ) {
    for (const { ref, type } of graph.params) {
      this.#exprs.set(ref, { param: ref.slice(1), shape: type.shape as number[] });
    }
    for (const { ref, op, inputs, attrs, type } of graph.nodes) {
      const args = inputs.map((input) => this.#exprs.get(input));
      if (!args.every((arg) => arg !== undefined)) continue;
      const shape = type.shape as number[];
      if (op === 'constant') this.#exprs.set(ref, { values: attrs.values as readonly number[], shape });
      else this.#exprs.set(ref, { op, attrs: attrs as Record<string, number>, args, shape });
    }
  }

  has(ref: Ref): boolean {
    return this.#exprs.has(ref);
  }

  /** Index of `ref` packed as `packing`. */
  index(ref: Ref, packing: Packing): number {
    const key = `${ref} ${JSON.stringify(packing)}`;
    const known = this.#indices.get(key);
    if (known !== undefined) return known;
    const value = this.#exprs.get(ref) ?? internal(`${ref} is not a constant`);
    this.#markUsed(value);
    this.#indices.set(key, this.list.length);
    return this.list.push({ value, dtype: this.precision, packing }) - 1;
  }

  #markUsed(value: ConstantExpr): void {
    if ('param' in value) this.used.add(`@${value.param}`);
    if ('args' in value) for (const arg of value.args) this.#markUsed(arg);
  }
}

/** Kernels by text. */
class KernelTable {
  readonly list: PlanKernel[] = [];
  readonly #indices = new Map<string, number>();

  index({ uniforms: _uniforms, workgroups: _workgroups, ...kernel }: KernelCall): number {
    const known = this.#indices.get(kernel.wgsl);
    if (known !== undefined) return known;
    this.#indices.set(kernel.wgsl, this.list.length);
    return this.list.push(kernel) - 1;
  }
}

interface Tables {
  readonly types: ReadonlyMap<Ref, TensorType>;
  readonly target: Target;
  readonly constants: ConstantTable;
  readonly buffers: BufferTable;
  readonly kernels: KernelTable;
}

/** Launches one node: hands out binding slots as its record asks for operands, one per buffer or constant. */
function buildStep(node: Node, into: Operand, { types, target, buffers, constants, kernels }: Tables): Step {
  const bindings: Binding[] = [];
  const slotOf = (binding: Binding): number => {
    const key = JSON.stringify(binding);
    const known = bindings.findIndex((other) => JSON.stringify(other) === key);
    return known >= 0 ? known : bindings.push(binding) - 1;
  };
  const view = (operand: Operand) => buffers.view(operand, slotOf({ buffer: operand.buffer }));
  const y = view(into);
  const inputTypes = node.inputs.map((ref) => types.get(ref) ?? internal(`${ref} has no type`));
  const constant = (i: number, packing: Packing): Vector => {
    const slot = slotOf({ constant: constants.index(node.inputs[i]!, packing) });
    const phased = packing.kind === 'vector' && packing.phases !== undefined;
    return { slot, dtype: constants.precision, ...(phased && { phased }) };
  };
  const pointwiseOperand = (i: number): PointwiseOperand => {
    const [ref, type] = [node.inputs[i]!, inputTypes[i]!];
    if (!constants.has(ref)) return { tensor: view(buffers.operand(ref)) };
    if (!isVector(type)) return internal(`${ref} is a constant that is not a vector`);
    return { vector: constant(i, vectorPacking(type, y.channels)) };
  };
  const op = opNamed(node.op);
  if (typeof op.launch === 'string') return internal(`${node.op} has no kernel`);
  const call = op.launch({
    node,
    target,
    types: inputTypes,
    y,
    view: (i) => view(buffers.operand(node.inputs[i]!)),
    constant,
    epilogue: () =>
      (isPointwise(node.op) ? [stepOf(node)] : epilogueOf(node.attrs)).map(
        ({ operand, ...step }): PointwiseStep =>
          operand === undefined ? step : { ...step, operand: pointwiseOperand(operand) },
      ),
  });
  const reach = op.reach(inputTypes, node.attrs);
  return {
    name: `${node.ref} ${call.name}`,
    ...(node.loc && { loc: node.loc }),
    kernel: kernels.index(call),
    reads: [
      ...node.inputs
        .filter((ref) => !constants.has(ref))
        .map((ref, i) => ({ ...buffers.operand(ref), reach: i === 0 ? reach : POINTWISE_REACH })),
      ...completed(into),
    ],
    writes: into,
    bindings,
    uniforms: call.uniforms,
    workgroups: call.workgroups,
    macs: op.macs(inputTypes, node.attrs) * into.channels,
  };
}

/** A copy into an unaligned range adds to four channels that an earlier one began: those must live until then. */
function completed({ buffer, offset }: Operand): Step['reads'] {
  const begun = offset % 4;
  return begun === 0 ? [] : [{ buffer, offset: offset - begun, channels: begun, reach: POINTWISE_REACH }];
}

/** One value per channel; a phased conv may have one per channel and phase. */
function vectorPacking(type: TensorType, channels: number): Packing {
  const values = Number(type.shape[0]);
  const phases = values / channels;
  return { kind: 'vector', length: roundUp(channels, 4), ...(phases > 1 && { phases }) };
}
