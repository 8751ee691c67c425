// One op, one record: everything the compiler must know of an operation stands together, and the type makes an
// omission a compile error. Adding an op means adding a record to one of the families beside this file.

import type { KernelCall, PointwiseStep, Vector, View, Weights } from '../../runtime/kernels/kernel.js';
import type { Packing, Reach } from '../../runtime/plan.js';
import type { Attrs, Node, Ref, TensorType } from '../graph.js';
import type { Target } from '../target.js';
import type { Tensor } from '../tensor.js';
import type { OnnxForm } from './onnx.js';

/** Thrown by shape rules; the dsl turns it into a diagnostic at the statement that caused it. */
export class ShapeError extends Error {
  constructor(
    message: string,
    readonly help?: string,
  ) {
    super(message);
    this.name = 'ShapeError';
  }
}

export interface Op {
  readonly name: string;
  /** The result's type, or `ShapeError`. */
  shape(inputs: readonly TensorType[], attrs: Attrs): TensorType;
  /** The value in plain loops: the meaning that every kernel is tested against. Accumulates in f64. */
  reference(inputs: readonly Tensor[], attrs: Attrs, shape: readonly number[]): Tensor;
  /**
   * The gradient of each operand as graph nodes (undefined: none flows there). 'none': no gradient flows through the
   * op at all. 'nodiff': it has none because it only appears after differentiation.
   */
  readonly gradient: GradientRule | 'none' | 'nodiff';
  /** Multiply-accumulates per element of the result. */
  macs(inputs: readonly TensorType[], attrs: Attrs): number;
  /** How far the result looks into its spatial operands. */
  reach(inputs: readonly TensorType[], attrs: Attrs): Reach;
  /**
   * Which kernel runs it. 'load': its operands are parameters and runtime/constants.ts evaluates it once when
   * weights are loaded. 'alias': none, the result is its operand's memory.
   */
  readonly launch: Launch | 'load' | 'alias';
  /** How ONNX says it. 'none': no network holds it, only training steps and what passes make for our own kernels. */
  readonly onnx: OnnxForm | 'none';
  /** How many operands its kernel has of its own, where that takes an epilogue, whose operands follow them. */
  readonly operands?: number;
  /** Whether its kernel takes operand 0 through the steps of a `prologue`, whose operands follow all others. */
  readonly prologue?: true;
  /** Small concrete cases for the loop over the registry: the tests need no knowledge of the op. */
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly inputs: readonly (readonly number[])[];
  readonly attrs?: Attrs;
  /** The operands must be positive (log, sqrt, …). */
  readonly positive?: boolean;
}

export interface GradientContext {
  readonly node: Node;
  /** Gradient of the loss with respect to the node's result. */
  readonly dy: Ref;
  /** Whether the gradient of operand `i` is wanted; rules skip work for the others. */
  wants(i: number): boolean;
  emit(op: string, inputs: readonly Ref[], attrs?: Attrs): Ref;
  type(ref: Ref): TensorType;
}

export type GradientRule = (context: GradientContext) => readonly (Ref | undefined)[];

/** How a kernel reads an operand. */
export type As = 'buffer' | 'texture';

/** What a record sees when its node becomes a step of the plan. */
export interface LaunchContext {
  readonly node: Node;
  readonly target: Target;
  readonly types: readonly TensorType[];
  /** Where the result goes. */
  readonly y: View;
  /** Operand `i` as a tensor; a vector or scalar is one pixel. */
  view(i: number, as?: As): View;
  /** Operand `i`, a constant or a value on the device, packed. */
  packed(i: number, packing: Packing, as?: As): Vector & Weights;
  /** The node's `epilogue` attribute as the kernels take it. */
  epilogue(): readonly PointwiseStep[];
  /** The same of its `prologue`. */
  prologue(): readonly PointwiseStep[];
}

export type Launch = (context: LaunchContext) => KernelCall;

/** The reach of an op that looks at a pixel only. */
export const POINTWISE_REACH: Reach = { mul: 1, div: 1, add: 0 };

/** The reach of an op that looks at the whole image: no tile smaller than the image is exact. */
export const GLOBAL_REACH: Reach = { mul: 1, div: 1, add: 2 ** 30 };

/** Reads a numeric attribute; a missing one is our bug. */
export function num(attrs: Attrs, name: string): number {
  const value = attrs[name];
  if (typeof value !== 'number') throw new Error(`internal: attribute "${name}" is missing`);
  return value;
}

/** A concrete NCHW extent of a reference tensor. */
export function nchw(shape: readonly number[]): [n: number, c: number, h: number, w: number] {
  const [n, c, h, w] = shape;
  if (shape.length !== 4 || n === undefined || c === undefined || h === undefined || w === undefined) {
    throw new Error(`internal: expected an NCHW tensor, got [${shape.join(',')}]`);
  }
  return [n, c, h, w];
}
