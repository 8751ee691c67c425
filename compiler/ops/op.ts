// One op, one record: everything the compiler must know of an operation stands together, and the type makes an
// omission a compile error. Adding an op means adding a record to one of the families beside this file.

import type { Attrs, Node, Ref, TensorType } from '../graph.js';
import type { Tensor } from '../tensor.js';

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
   * The gradient of each operand as graph nodes (undefined: none flows there), or 'nodiff' where the op has none:
   * it is made by passes that run after differentiation, or is itself only ever part of a backward pass.
   */
  readonly gradient: GradientRule | 'nodiff';
  /** Multiply-accumulates per element of the result. */
  macs(inputs: readonly TensorType[], attrs: Attrs): number;
  /** How far the result looks into its spatial operands (see `Reach` of the plan). */
  reach(attrs: Attrs): { readonly mul: number; readonly div: number; readonly add: number };
  /**
   * `device`: a kernel family runs it (lower.ts has the launch); `constant`: it is evaluated once when weights are
   * loaded, because its operands are parameters; `either`: both.
   */
  readonly runs: 'device' | 'constant' | 'either';
  /** Small concrete cases for the loop over the registry: the tests need no knowledge of the op. */
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly inputs: readonly (readonly number[])[];
  readonly attrs?: Attrs;
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
