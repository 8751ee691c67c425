// One node as one dispatch: hands out binding slots as the node's record asks for operands, one per buffer or constant.

import { internal } from '../../diagnostics.js';
import {
  type KernelCall,
  type PointwiseOperand,
  type PointwiseStep,
  roundUp,
  type Vector,
  type View,
  type Weights,
} from '../../runtime/kernels/kernel.js';
import { POINTWISE } from '../../runtime/kernels/pointwise.js';
import type { Binding, Operand, Packing, PlanKernel, Step } from '../../runtime/plan.js';
import type { Node, Ref, TensorType } from '../graph.js';
import { geometryOf, packingOf } from '../layout.js';
import { type EpilogueStep, epilogueOf, prologueOf, stepOf } from '../ops/epilogue.js';
import { type As, POINTWISE_REACH } from '../ops/op.js';
import { isPointwise } from '../ops/pointwise.js';
import { opNamed } from '../ops/registry.js';
import { sameShape } from '../ops/types.js';
import type { Target } from '../target.js';
import type { BufferTable } from './buffers.js';
import type { ConstantTable } from './constants.js';

/** Kernels by text. */
export class KernelTable {
  readonly list: PlanKernel[] = [];
  readonly #indices = new Map<string, number>();

  index({ uniforms: _uniforms, workgroups: _workgroups, ...kernel }: KernelCall): number {
    const known = this.#indices.get(kernel.wgsl);
    if (known !== undefined) return known;
    this.#indices.set(kernel.wgsl, this.list.length);
    return this.list.push(kernel) - 1;
  }
}

export interface Tables {
  readonly types: ReadonlyMap<Ref, TensorType>;
  readonly target: Target;
  readonly constants: ConstantTable;
  readonly buffers: BufferTable;
  readonly kernels: KernelTable;
}

export function buildStep(node: Node, into: Operand, tables: Tables): Step {
  const { types, target, buffers, constants, kernels } = tables;
  const bindings: Binding[] = [];
  const slots = new Map<string, number>();
  const slotOf = (binding: Binding, as: As): number => {
    const key = `${as} ${JSON.stringify(binding)}`;
    const slot = slots.get(key) ?? bindings.push(binding) - 1;
    slots.set(key, slot);
    return slot;
  };
  const viewOf = ({ buffer, offset, channels }: Operand, as: As = 'buffer'): View => {
    const { dims, stride, dtype } = buffers.list[buffer] ?? internal(`no buffer ${buffer}`);
    const slot = slotOf({ buffer }, as);
    return { slot, dtype, dims, channels, stride, offset, ...(as === 'texture' && { texture: true }) };
  };
  const constant = (ref: Ref, packing: Packing, as: As = 'buffer') => {
    const index = constants.index(ref, packing);
    const phased = packing.kind === 'vector' && packing.phases !== undefined;
    const { dtype } = constants.list[index]!;
    const slot = slotOf({ constant: index }, as);
    return { slot, dtype, ...(phased && { phased }), ...(as === 'texture' && { texture: true as const }) };
  };
  const y = viewOf(into);
  const inputTypes = node.inputs.map((ref) => types.get(ref) ?? internal(`${ref} has no type`));
  const view = (i: number, as?: As): View => {
    const [ref, type] = [node.inputs[i]!, inputTypes[i]!];
    if (!constants.has(ref)) return viewOf(buffers.operand(ref), as);
    return { ...constant(ref, packingOf(type), as), ...geometryOf(type, buffers.layout(ref)), offset: 0 };
  };
  const packed = (i: number, packing: Packing, as?: As): Vector & Weights => {
    const ref = node.inputs[i]!;
    if (constants.has(ref)) return constant(ref, packing, as);
    const { slot, dtype, offset, texture } = viewOf(buffers.operand(ref), as);
    if (offset !== 0 || JSON.stringify(packingOf(inputTypes[i]!)) !== JSON.stringify(packing)) {
      return internal(`${ref} does not lie as ${JSON.stringify(packing)}`);
    }
    return { slot, dtype, ...(texture && { texture }) };
  };
  /** The steps that a kernel does to the value `ref`. */
  const stepsTo = (ref: Ref, steps: readonly EpilogueStep[]): PointwiseStep[] => {
    const { shape: whole } = types.get(ref) ?? internal(`${ref} has no type`);
    const operandOf = (i: number, shape: TensorType['shape']): PointwiseOperand => {
      const type = inputTypes[i]!;
      if (sameShape(type.shape, shape)) return { tensor: view(i) };
      if (type.shape.length === 0) return { scalar: packed(i, packingOf(type)) };
      return { vector: packed(i, vectorPacking(type, Number(shape[1]))) };
    };
    return steps.map(({ operand, ...step }) => {
      const [from, to] = step.channels ?? [];
      const shape = from === undefined ? whole : whole.with(1, to! - from);
      const other = operand === undefined ? undefined : inputTypes[operand];
      if (buffers.layout(ref) === 'weight')
        keepsPadding(step, other && !sameShape(other.shape, shape) ? 1 : 0);
      return operand === undefined ? step : { ...step, operand: operandOf(operand, shape) };
    });
  };
  const epilogue = () => stepsTo(node.ref, isPointwise(node.op) ? [stepOf(node)] : epilogueOf(node.attrs));
  const prologue = () => stepsTo(node.inputs[0]!, prologueOf(node.attrs));

  const op = opNamed(node.op);
  if (typeof op.launch === 'string') return internal(`${node.op} has no kernel`);
  const call = op.launch({ node, target, types: inputTypes, y, view, packed, epilogue, prologue });
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

/** The padding of packed weights is zero, and sums of weights rely on that; `other` is what a second operand has there. */
function keepsPadding({ op, attr = 0 }: EpilogueStep, other: number): void {
  const value = POINTWISE[op]!.reference(0, other, attr);
  if (value !== 0) internal(`${op} on weights would fill their padding`);
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
